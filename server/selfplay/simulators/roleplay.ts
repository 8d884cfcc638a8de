// The role-play simulator: an ordinary assistant is asked, after every answer, to say what the user might say next.
// It opens with a question about a topic; such models thank more than they ask, so courtesy alone is drawn anew.
import type { ChatMessage } from "../../../runtime/chat-model.ts";
import { defaultGuardrails } from "../guardrails.ts";
import { playByRules } from "./play-by-rules.ts";
import { PromptedPlayer } from "./prompted-player.ts";
import type { Guardrails, Simulator } from "./simulator.ts";

const continuation = [
  "Above is a conversation between a user and an assistant.",
  "Suppose that you are the user: say what you would say next to go on with the conversation, such as a question about the last answer",
  "or a related request. Write only the user's words, without thanks, labels or quotation marks.",
].join(" ");

/** What holds where the request names no guard-rails. */
const courtesyFilter: Guardrails = { ...defaultGuardrails, hasPolitenessCheck: true };

export const roleplaySimulator: Simulator = {
  name: "roleplay",
  play(request, signal) {
    const { seedItem, guardrails } = request;
    return playByRules({ ...request, guardrails: guardrails ?? courtesyFilter }, signal, {
      user: (setup, sessionId) =>
        new PromptedPlayer("user", setup, sessionId, (past) => ({
          messages:
            past.length === 0
              ? [{ role: "user", content: openerInstruction(seedItem?.prompt ?? null) }]
              : [...past.map(wordsOnly), { role: "user", content: continuation }],
        })),
    });
  },
};

function openerInstruction(topic: string | null): string {
  const subject = topic === null ? "anything that you might want to know or have done" : `this topic: ${topic}`;
  return [
    "Suppose that you are a person who opens a conversation with an assistant.",
    `Write one question or request about ${subject}`,
    "Make it specific and natural. Write only the person's words, without greetings, labels or quotation marks.",
  ].join("\n");
}

/** Its questions were sampled as an assistant's replies and stand here as a user's: the ids would not fit. */
function wordsOnly({ role, content }: ChatMessage): ChatMessage {
  return { role, content };
}
