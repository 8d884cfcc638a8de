// What stands in the store, as the rest of the program sees it: jobs, dialogues and turns.
// Types only. Times are Unix milliseconds of the database's clock.
import type { ModelRole } from "../../../runtime/chat-model.ts";
import type { SideUsage, StopReason, Turn } from "../dialogue-types.ts";

export type JobStatus = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";
export type DialogueStatus = "queued" | "running" | "completed" | "failed" | "cancelled";
export type Json = Readonly<Record<string, unknown>>;

export interface NewJob {
  readonly id: string;
  readonly seed: number;
  readonly count: number;
  /** Dialogues in flight at each gateway; null leaves it to the models' slots. */
  readonly concurrency: number | null;
  readonly budgetTokens: number | null;
  readonly budgetMoney: number | null;
  /** As it came. */
  readonly request: Json;
  /** With everything filled in that the request left open, so that a default changed later changes nothing. */
  readonly plan: Json;
  readonly metadata: Json | null;
  /** One per dialogue, in order; empty when dialogues start from nothing. */
  readonly seedItems: readonly Json[];
}

export interface StoredJob extends Omit<NewJob, "seedItems"> {
  readonly status: JobStatus;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Turns committed so far, those taken back included. */
  readonly turns: number;
  /** Of both sides, and of judges while dialogues were played. */
  readonly usage: Readonly<Record<ModelRole | "judge", SideUsage>>;
  readonly money: number;
  readonly error: string | null;
  readonly lastEvent: number;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** A turn with its place in the dialogue's row of turns and how long it took. */
export interface StoredTurn extends Turn {
  /** From 0, turns taken back included. */
  readonly ordinal: number;
  readonly isKept: boolean;
  readonly firstTokenMs: number | null;
  readonly durationMs: number | null;
}

export interface StoredDialogue {
  readonly jobId: string;
  readonly index: number;
  readonly status: DialogueStatus;
  readonly stopReason: StopReason | null;
  readonly stoppedBy: ModelRole | null;
  /** Provenance, written at its end. */
  readonly record: Json | null;
  readonly seedItem: Json | null;
  readonly quality: Json | null;
  readonly error: string | null;
  readonly attempts: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly turns: readonly StoredTurn[];
}

/** The right to write one dialogue, until somebody else takes it over. */
export interface Lease {
  readonly jobId: string;
  readonly index: number;
  readonly token: number;
}

/** A lease was taken over, or its job deleted: nothing was written, and whoever held it must stop. */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";

  constructor({ jobId, index }: Lease) {
    super(`Dialogue ${index} of job '${jobId}' was taken over by another gateway or deleted.`);
  }
}
