// Owns where a conversation ends for training: on a trained turn. It knows no tokens.
import type { ModelRole } from "../../runtime/chat-model.ts";
import type { Conversation } from "../conversation.ts";

/** The conversation up to its last turn that can be trained; null where there is none. */
export function trimToTrained(conversation: Conversation, role: ModelRole): Conversation | null {
  // An assistant's first turn has nothing before it to answer.
  const last = conversation.utterances.findLastIndex(
    (said, index) => said.role === role && said.isContext !== true && (index > 0 || role === "user"),
  );
  return last === -1 ? null : { ...conversation, utterances: conversation.utterances.slice(0, last + 1) };
}
