// Owns everything that is written while a fine-tuning job is worked at: each write is one statement or transaction with the proof that
// the writer still holds the job. It does not know what the work is.
import { insertFile } from "../files/file-store.ts";
import type { NewFile } from "../files/file-records.ts";
import type { Database, Queryable } from "../store/database.ts";
import { toJsonText, toText } from "../store/values.ts";
import { addEvent, type NewWorkEvent } from "../work/event-rows.ts";
import { type Lease, releaseLease } from "../work/lease-rows.ts";
import { type Hyperparameters, type TuningError, tuningTables } from "./records.ts";

/** Leaves a job to whoever comes next, no sooner than `delayMs` from now; `isNoAttempt` where nothing had gone wrong. */
export async function releaseTuningJob(
  database: Database,
  lease: Lease,
  options: { readonly delayMs: number; readonly isNoAttempt: boolean },
): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.query("UPDATE fine_tuning_jobs SET estimated_finish = NULL WHERE id = $1 AND lease_token = $2", [
      lease.jobId,
      lease.token,
    ]);
    await releaseLease(transaction, tuningTables, lease, options);
  });
}

/** The files are fit to train on: the job waits for its turn. False where the lease is lost or the job was stopped. */
export async function commitValidated(
  database: Database,
  { jobId, token }: Lease,
  hyperparameters: Hyperparameters<number>,
  events: readonly NewWorkEvent[],
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const held = await transaction.query(
      `UPDATE fine_tuning_jobs SET hyperparameters = $3::jsonb, attempts = 0, lease_until = NULL, lease_owner = NULL,
          status = CASE WHEN status = 'validating_files' THEN 'queued' ELSE status END
        WHERE id = $1 AND lease_token = $2 AND status IN ('validating_files', 'paused') RETURNING id`,
      [jobId, token, toJsonText(hyperparameters)],
    );
    for (const event of held.length > 0 ? events : []) await addEvent(transaction, tuningTables, jobId, event);
    return held.length > 0;
  });
}

/** The training has begun, or goes on. */
export async function commitStarted(
  database: Database,
  { jobId, token }: Lease,
  steps: number,
  trainedTokens: number,
  event: NewWorkEvent,
): Promise<void> {
  await database.transaction(async (transaction) => {
    const moved = await transaction.query(
      `UPDATE fine_tuning_jobs SET status = 'running', steps = $3, trained_tokens = $4,
          started_at = coalesce(started_at, now())
        WHERE id = $1 AND lease_token = $2 AND status IN ('queued', 'running') RETURNING id`,
      [jobId, token, steps, trainedTokens],
    );
    if (moved.length > 0) await addEvent(transaction, tuningTables, jobId, event);
  });
}

export interface TuningStep {
  readonly step: number;
  readonly steps: number;
  readonly trainLoss: number;
  readonly validLoss: number | null;
  readonly remainingMs: number | null;
}

/** What a step came to, with its event. A step that was told before, by a run that was broken off, is left as it was. */
export async function commitStep(
  database: Queryable,
  { jobId, token }: Lease,
  { step, steps, trainLoss, validLoss, remainingMs }: TuningStep,
  { level, message, data }: NewWorkEvent,
): Promise<void> {
  await database.query(
    `WITH job AS (
        UPDATE fine_tuning_jobs SET step = $3::integer, steps = $4::integer, train_loss = $5::float8,
            valid_loss = coalesce($6::float8, valid_loss), attempts = 0, last_event = last_event + 1,
            estimated_finish = now() + $7::float8 * interval '1 millisecond'
          WHERE id = $1 AND lease_token = $2 AND step < $3::integer RETURNING last_event)
      INSERT INTO fine_tuning_events (job_id, id, level, type, message, data)
        SELECT $1, last_event, $8, 'metrics', $9, $10::jsonb FROM job`,
    [jobId, token, step, steps, trainLoss, validLoss, remainingMs, level, toText(message), toJsonText(data)],
  );
}

export interface TuningEnd {
  readonly status: "succeeded" | "failed";
  readonly error: TuningError | null;
  /** Its row is written with the end; its bytes lie there already. */
  readonly resultFile: NewFile | null;
  readonly bestStep: number | null;
  readonly events: readonly NewWorkEvent[];
}

/** Ends a job; false where the lease is lost or the job was cancelled, and then nothing is written. */
export async function endTuningJob(
  database: Database,
  { jobId, token }: Lease,
  { status, error, resultFile, bestStep, events }: TuningEnd,
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const held = await transaction.query(
      `UPDATE fine_tuning_jobs SET status = $3, error = $4::jsonb, best_step = $5, result_files = $6::jsonb,
          finished_at = now(), estimated_finish = NULL, lease_until = NULL, lease_owner = NULL
        WHERE id = $1 AND lease_token = $2 AND status IN ('validating_files', 'queued', 'running', 'paused') RETURNING id`,
      [
        jobId,
        token,
        status,
        error === null ? null : toJsonText(error),
        bestStep,
        toJsonText(resultFile === null ? [] : [resultFile.id]),
      ],
    );
    if (held.length === 0) return false;
    if (resultFile !== null) await insertFile(transaction, resultFile);
    for (const event of events) await addEvent(transaction, tuningTables, jobId, event);
    return true;
  });
}
