// Makes conversations of roles and words for the tests of cleaning.
import type { ModelRole } from "../../../runtime/chat-model.ts";
import type { Conversation } from "../../../training/conversation.ts";

export function conversation(...turns: readonly (readonly [ModelRole, string])[]): Conversation {
  return {
    id: "c",
    group: "c",
    origin: { file: "f", row: 1 },
    system: { user: null, assistant: null },
    utterances: turns.map(([role, content]) => ({ role, content })),
    isComplete: true,
    provenance: {},
  };
}
