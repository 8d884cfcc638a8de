// Owns what an export format is: which files it makes, what becomes of a conversation in them, and what stands beside them.
// Types only. One file per format says the rest; none of them opens a file.
import type { ModelRole } from "../../runtime/chat-model.ts";
import type { Conversation } from "../conversation.ts";
import type { Example } from "../examples/example.ts";
import type { ModelText } from "../examples/model-text.ts";

export const parts = ["train", "heldout"] as const;
export type Part = (typeof parts)[number];

/** A conversation on its way out: what is behind the last trained turn is gone. */
export interface ExportRow {
  readonly conversation: Conversation;
  /** null where no model was named. */
  readonly example: Example | null;
}

/** What all rows of an export have in common. */
export interface ExportSetup {
  readonly role: ModelRole;
  /** null only for formats that do not need one. */
  readonly model: ModelText | null;
  readonly maxTokens: number | null;
}

export type JsonRow = Readonly<Record<string, unknown>>;

/** How a column of a Parquet file is typed. `turns` is a list of structs of two texts, named by `fields`. */
export type Column =
  | { readonly name: string; readonly type: "text" | "int32" | "int32_list" }
  | { readonly name: string; readonly type: "turns"; readonly fields: readonly [string, string] };

/** Data files of one kind, one a part. */
export interface Table {
  readonly path: (part: Part) => string;
  readonly kind: "jsonl" | "json" | "parquet";
  /** Of Parquet only. */
  readonly columns?: readonly Column[];
  /** Throws CannotSay for a conversation that the format has no words for. */
  readonly rows: (row: ExportRow) => readonly JsonRow[];
}

/** A conversation does not fit into a format; the message says why, in few words that are the same for every such row. */
export class CannotSay extends Error {
  override readonly name = "CannotSay";
}

/** What came of an export; `meta.json` is its JSON. */
export interface ExportRecord {
  readonly format: string;
  readonly role: ModelRole;
  readonly created: string;
  readonly model: {
    readonly id: string;
    readonly hash: string;
    readonly tokenizerSha256: string;
    readonly templateHash: string;
    readonly template: string;
    readonly vocabSize: number;
    readonly padId: number | null;
    readonly stopIds: readonly number[];
    readonly endOfConversationId: number | null;
  } | null;
  readonly maxTokens: number | null;
  readonly learnsEnd: boolean;
  readonly counts: ExportCounts;
  /** Conversations that were left out, by reason. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** How the conversations were prepared: what was read, cleaned, split. */
  readonly funnel: unknown;
  /** Measured over what was exported; null where it was not asked for. */
  readonly measures: unknown;
}

export interface ExportCounts {
  conversations: number;
  train: number;
  heldout: number;
  /** Rows in the first data file of each part: a conversation may be several. */
  rows: number;
  utterances: number;
  tokens: number;
  trainedTokens: number;
  /** Examples that were longer than allowed, and their turns that were cut off at the end. */
  truncated: number;
  cutTurns: number;
  retokenizedTurns: number;
  /** Turns that should be context only, in a format that can but train on them. */
  contextTurnsInLoss: number;
}

export interface Format {
  readonly name: string;
  /** Who reads it, for the table of formats. */
  readonly trainer: string;
  /** How the user's side is trained: `mask`, `swap` of roles with an opener, or `ids` with labels. */
  readonly userSide: "mask" | "swap" | "ids";
  readonly needsModel: boolean;
  /** It can leave single turns of the trained role out of the loss. */
  readonly masksContext: boolean;
  /** It is kept as text and tokenized by nobody in particular, so what looks like a control token may stay. */
  readonly isArchive?: true;
  /** Readers expect the held-out file even where nothing is held out. */
  readonly keepsEmptyHeldout?: true;
  readonly tables: (setup: ExportSetup) => readonly Table[];
  /** Files beside the data, by path; README.md is among them. */
  readonly texts: (record: ExportRecord, setup: ExportSetup) => Readonly<Record<string, string>>;
}
