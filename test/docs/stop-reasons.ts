// Owns the tables of why turns and dialogues end, in words. The compiler asks for every reason the code knows.
import type { StopCause } from "../../runtime/chat-model.ts";
import { completionObject, newAnswerHead } from "../../server/openai/response.ts";
import type { StopReason } from "../../server/selfplay/dialogue-types.ts";
import { scriptedModel } from "../support/scripted-model.ts";
import { code, markdownTable } from "./markdown.ts";

const dialogueEnds: Readonly<Record<StopReason, string>> = {
  window:
    "A side's context window is full. Its unfinished turn is dropped, and with an answer the question it belongs to.",
  max_turns: "As many rounds as `max_turns` asked for.",
  end_token: "A side ended the conversation with its end-of-conversation token.",
  empty_turn: "A side said nothing.",
  guardrails_exhausted: "No question of as many as may be drawn passed the guard-rails.",
  seed_too_long: "No round fits into the window after the given ones.",
  judge: "A judge saw that the conversation had run its course.",
  budget: "As many tokens as the dialogue may cost.",
  cancelled: "The caller went away. Only a stream ever shows it.",
  error: "A model failed. Only a stream ever shows it, before its error.",
};

const turnEnds: Readonly<Record<StopCause, string>> = {
  end_token: "The model ended its turn.",
  end_of_conversation: "The model ended the conversation; the choice also holds `realchat.end_of_conversation: true`.",
  stop_string: "A string of `stop` came; it is not part of the reply.",
  max_tokens: "`max_tokens` or `max_completion_tokens` was reached.",
  window: "The context window is full.",
};

/** Why a self-play dialogue ended. */
export function stopReasonsTable(): string {
  return markdownTable(
    ["`stop_reason`", "Meaning"],
    Object.entries(dialogueEnds).map(([reason, meaning]) => [code(reason), meaning]),
  );
}

/** How the end of a turn is told to an OpenAI client. */
export function finishReasonsTable(): string {
  const rows = Object.entries(turnEnds).map(([cause, meaning]) => {
    const choice = { index: 0, text: "", cause: cause as StopCause };
    const answer = completionObject(newAnswerHead(scriptedModel().info), "assistant", [choice], []);
    return [code(answer.choices[0]?.finish_reason ?? ""), meaning];
  });
  return markdownTable(["`finish_reason`", "When"], rows);
}
