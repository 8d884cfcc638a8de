// What a reader of one format makes of one parsed row, before ids and places are filled in. Types, and one helper; no format.
import type { Conversation, Utterance } from "../conversation.ts";

/** A conversation as its row tells it; null where the row says nothing. */
export interface RowConversation {
  readonly id: string | null;
  /** null: the conversation is a group of its own. */
  readonly group: string | null;
  readonly system: Conversation["system"];
  readonly utterances: readonly Utterance[];
  readonly isComplete: boolean;
  readonly provenance: Readonly<Record<string, unknown>>;
}

export type RowResult =
  | { readonly type: "conversation"; readonly conversation: RowConversation }
  | { readonly type: "dropped"; readonly rule: string };

/** Reads one row. Throws RowError for one that is not of its format. */
export type RowReader = (row: unknown) => readonly RowResult[];

export const noSystem: Conversation["system"] = { user: null, assistant: null };

/** A conversation without anything that most formats lack. */
export function conversationOf(
  parts: Pick<RowConversation, "id" | "utterances"> & Partial<RowConversation>,
): readonly RowResult[] {
  const conversation = { group: null, system: noSystem, isComplete: false, provenance: {}, ...parts };
  return [{ type: "conversation", conversation }];
}
