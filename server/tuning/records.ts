// What stands in the store about fine-tuning jobs, as the rest of the program sees it.
// Times are Unix milliseconds of the database's clock.
import type { ModelRole } from "../../runtime/chat-model.ts";

export const tuningTables = { jobs: "fine_tuning_jobs", events: "fine_tuning_events" } as const;

export type TuningStatus = "validating_files" | "queued" | "running" | "paused" | "succeeded" | "failed" | "cancelled";

type Auto = "auto" | number;

export interface Hyperparameters<Value = Auto> {
  readonly epochs: Value;
  readonly batchSize: Value;
  readonly learningRateMultiplier: Value;
}

/** What the request came to, with every default filled in. */
export interface TuningPlan {
  readonly role: ModelRole;
  /** Of the model that is tuned: a job goes on with no other. */
  readonly modelHash: string;
  readonly hyperparameters: Hyperparameters;
  /** null trains all weights. */
  readonly lora: { readonly rank: number; readonly alpha: number } | null;
}

export interface TuningError {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

export interface NewTuningJob {
  readonly id: string;
  /** Id of the model that is tuned. */
  readonly model: string;
  /** Id that the result will have. */
  readonly fineTunedModel: string;
  readonly trainingFile: string;
  readonly validationFile: string | null;
  readonly seed: number;
  readonly suffix: string | null;
  readonly plan: TuningPlan;
  readonly metadata: Readonly<Record<string, string>> | null;
}

export interface StoredTuningJob extends NewTuningJob {
  readonly status: TuningStatus;
  /** What "auto" came to; null until the files are validated. */
  readonly hyperparameters: Hyperparameters<number> | null;
  readonly error: TuningError | null;
  readonly trainedTokens: number | null;
  readonly resultFiles: readonly string[];
  readonly step: number;
  readonly steps: number | null;
  readonly trainLoss: number | null;
  readonly validLoss: number | null;
  /** The step whose weights the result has; null while nothing is known of it. */
  readonly bestStep: number | null;
  readonly createdAtMs: number;
  readonly finishedAtMs: number | null;
  readonly estimatedFinishMs: number | null;
}

/** How far a training is, as far as it was told. */
export interface TuningProgress {
  /** Id of the model that is tuned. */
  readonly model: string;
  readonly step: number;
  readonly steps: number | null;
  readonly trainLoss: number | null;
  readonly validLoss: number | null;
}

/** What metrics ask about fine-tuning. */
export interface TuningFigures {
  /** How many jobs of the store stand how; empty while no store is open, and where it cannot be asked. */
  counts(): Promise<ReadonlyMap<TuningStatus, number>>;
  /** The job that is trained here; null when none is. */
  training(): TuningProgress | null;
}

const endedStatuses: ReadonlySet<TuningStatus> = new Set(["succeeded", "failed", "cancelled"]);

/** Whether a job's status will not change any more. */
export const hasEnded = (status: TuningStatus) => endedStatuses.has(status);
