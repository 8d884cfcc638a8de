// What reading a source comes to, row by row: a conversation, or a row that is none, with the reason. Types only.
import type { Conversation, Origin } from "../conversation.ts";

export type SourceRow =
  | { readonly kind: "conversation"; readonly conversation: Conversation }
  /** Not what its format says: reported and counted, never silently left out. `reason` is a clause that follows "line 3:". */
  | { readonly kind: "broken"; readonly origin: Origin; readonly reason: string }
  /** Well-formed, and left out by a rule of its own format; counted under the rule's name. */
  | { readonly kind: "dropped"; readonly origin: Origin; readonly rule: string };
