// What a seed set is: texts that start dialogues, and what became of every row of the file they came from.
// Types, and the one error of this folder. It knows no format.
import type { SeedItem } from "../simulators/simulator.ts";

export type SeedFormat = "plain" | "dolly" | "wizardlm" | "self-instruct" | "sharegpt";

/** A row that is not what its format says. */
export interface BrokenRow {
  /** From 1; blank lines are counted, so that an editor finds it. */
  readonly row: number;
  readonly reason: string;
}

/** Why a good row is left out on purpose: the format's own rules. */
export type DropReason = "alpaca" | "not_two_utterances" | "empty" | "later_segment" | "opens_with_assistant";

export interface SeedSet {
  readonly items: readonly SeedItem[];
  /** Rows read, blank ones left out. */
  readonly rows: number;
  /** The first of them; `brokenCount` counts all. */
  readonly broken: readonly BrokenRow[];
  readonly brokenCount: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
}

/** What one row comes to. */
export type RowResult =
  | { readonly type: "item"; readonly item: Omit<SeedItem, "row" | "id"> & { readonly id: string | null } }
  | { readonly type: "dropped"; readonly reason: DropReason };

/** Reads one row. Throws RowError for one that is not of its format. */
export type RowReader = (row: unknown) => RowResult;

/** A row that cannot be read; the message is a clause that follows "row 3:". */
export class RowError extends Error {
  override readonly name = "RowError";
}
