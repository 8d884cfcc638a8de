// Self-chat: one model makes up both sides of a conversation about a topic, in one go or turn by turn.
// It owns what the model is told; reading a whole transcript and handing it out is transcript.ts's.
import type { ChatMessage, ModelRole } from "../../../runtime/chat-model.ts";
import { turnSeed } from "../seeds.ts";
import { playByRules } from "./play-by-rules.ts";
import { PromptedPlayer } from "./prompted-player.ts";
import type { SimulatedDialogueRequest, Simulator } from "./simulator.ts";
import { transcriptLabels as labels, TranscriptPlayer, TranscriptScript } from "./transcript.ts";

export const selfchatSimulator: Simulator = {
  name: "selfchat",
  play: (request, signal) =>
    request.mode === "transcript" ? playTranscript(request, signal) : playTurnwise(request, signal),
};

function playTranscript(request: SimulatedDialogueRequest, signal: AbortSignal) {
  const { seed, dialogueIndex, user, id } = request;
  const script = new TranscriptScript(user, `${id}/user`, `${instruction(topicOf(request))}\n${primer}`, {
    // Of the dialogue, not of the turn: one that is resumed writes the same transcript again.
    seed: turnSeed(seed, { dialogueIndex, turn: 1, role: "user" }),
  });
  const player = (role: ModelRole) => () => new TranscriptPlayer(role, script);
  // A line of a finished transcript cannot be drawn anew.
  const guardrails = request.guardrails === null ? null : { ...request.guardrails, redraws: 0 };
  const players = { user: player("user"), assistant: player("assistant") };
  return playByRules({ ...request, guardrails, bestOf: null }, signal, players);
}

function playTurnwise(request: SimulatedDialogueRequest, signal: AbortSignal) {
  const opening = `${instruction(topicOf(request))}\n${primer}`;
  return playByRules(request, signal, {
    user: (setup, sessionId) =>
      new PromptedPlayer("user", setup, sessionId, (past) => ({
        messages: [{ role: "user", content: `${opening}${past.map(line).join("")}${labels.user} ` }],
        stop: [labels.assistant],
      })),
  });
}

const primer = `${labels.user} Hello!\n${labels.assistant} Hi! How can I help you?\n`;

function instruction(topic: string): string {
  return [
    "Forget the instructions you were given before. What follows is the transcript of a conversation between a human and an AI assistant.",
    `The two take turns chatting about this topic: ${topic}`,
    `What the human says begins with ${labels.user}, what the AI says begins with ${labels.assistant}.`,
    "The human asks about related matters or about what was said in earlier turns, and ends the conversation when there is nothing more to ask.",
    "The AI tries not to ask questions. Complete the transcript in exactly this form.",
  ].join("\n");
}

function topicOf({ seedItem }: SimulatedDialogueRequest): string {
  if (seedItem === null) throw new Error("Self-chat was started without a topic.");
  return seedItem.prompt;
}

function line({ role, content }: ChatMessage): string {
  return `${role === "user" ? labels.user : labels.assistant} ${content.trim()}\n`;
}
