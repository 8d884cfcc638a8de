// Owns the rows of fine-tuning jobs: written, listed, and moved from one status to the next by what clients ask.
// It does not know who works at a job.
import type { Database, Queryable } from "../store/database.ts";
import { toJsonText } from "../store/values.ts";
import { addEvent, type NewWorkEvent } from "../work/event-rows.ts";
import {
  type Hyperparameters,
  hasEnded,
  type NewTuningJob,
  type StoredTuningJob,
  type TuningError,
  type TuningPlan,
  type TuningStatus,
  tuningTables,
} from "./records.ts";

export interface TuningPage {
  readonly limit: number;
  /** Id of the job behind which the page begins. */
  readonly after: string | null;
  /** Only jobs with these entries; `null` those without any, undefined all. */
  readonly metadata: Readonly<Record<string, string>> | null | undefined;
}

/** A file that a job needs, and under which field it was named. */
export interface NeededFile {
  readonly id: string;
  readonly param: "training_file" | "validation_file";
}

/** Why a file cannot be used. */
export interface FileObstacle extends NeededFile {
  /** null where there is no such file. */
  readonly purpose: string | null;
}

/** Writes a job with its first events, or says which file it cannot have. Its files cannot be deleted in between. */
export async function insertTuningJob(
  database: Database,
  job: NewTuningJob,
  files: readonly NeededFile[],
  events: readonly NewWorkEvent[],
): Promise<FileObstacle | null> {
  return database.transaction(async (transaction) => {
    for (const file of files) {
      const [row] = await transaction.query<{ purpose: string }>(
        "SELECT purpose FROM files WHERE id = $1 AND (expires_at IS NULL OR expires_at > now()) FOR SHARE",
        [file.id],
      );
      if (row?.purpose !== "fine-tune") return { ...file, purpose: row?.purpose ?? null };
    }
    await transaction.query(
      `INSERT INTO fine_tuning_jobs
        (id, model, fine_tuned_model, training_file, validation_file, seed, suffix, plan, metadata)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb)`,
      [
        job.id,
        job.model,
        job.fineTunedModel,
        job.trainingFile,
        job.validationFile,
        job.seed,
        job.suffix,
        toJsonText(job.plan),
        job.metadata === null ? null : toJsonText(job.metadata),
      ],
    );
    for (const event of events) await addEvent(transaction, tuningTables, job.id, event);
    return null;
  });
}

export async function findTuningJob(database: Queryable, id: string): Promise<StoredTuningJob | null> {
  const [row] = await database.query<JobRow>(`SELECT ${columns} FROM fine_tuning_jobs WHERE id = $1`, [id]);
  return row === undefined ? null : toJob(row);
}

/** Newest first, those older than job `after`. */
export async function listTuningJobs(
  database: Queryable,
  { limit, after, metadata }: TuningPage,
): Promise<readonly StoredTuningJob[]> {
  const rows = await database.query<JobRow>(
    `SELECT ${columns} FROM fine_tuning_jobs
      WHERE ($2::text IS NULL OR (created_at, id) < (SELECT created_at, id FROM fine_tuning_jobs WHERE id = $2::text))
        AND ($3::jsonb IS NULL OR metadata @> $3::jsonb)
        AND (NOT $4::boolean OR metadata IS NULL)
      ORDER BY created_at DESC, id DESC LIMIT $1`,
    [limit, after, metadata === null || metadata === undefined ? null : toJsonText(metadata), metadata === null],
  );
  return rows.map(toJob);
}

/** Jobs with one of these statuses, oldest first. */
export async function openTuningJobs(
  database: Queryable,
  statuses: readonly TuningStatus[],
): Promise<readonly StoredTuningJob[]> {
  const rows = await database.query<JobRow>(
    `SELECT ${columns} FROM fine_tuning_jobs WHERE status = ANY($1::text[]) ORDER BY created_at, id`,
    [statuses],
  );
  return rows.map(toJob);
}

/** The id of a job that has not ended and that tunes this model, or makes it; null when there is none. */
export async function findTuningOf(database: Queryable, modelId: string): Promise<string | null> {
  const [row] = await database.query<{ id: string }>(
    `SELECT id FROM fine_tuning_jobs
      WHERE (model = $1 OR fine_tuned_model = $1) AND status NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 1`,
    [modelId],
  );
  return row?.id ?? null;
}

/** How many jobs stand how. */
export async function countTuningJobs(database: Queryable): Promise<ReadonlyMap<TuningStatus, number>> {
  const rows = await database.query<{ status: TuningStatus; count: number }>(
    "SELECT status, count(*)::integer AS count FROM fine_tuning_jobs GROUP BY status",
  );
  return new Map(rows.map(({ status, count }) => [status, count]));
}

/** Moves a job if its status is one of `from`; false when it is not. A job that goes on is validated first where it was not. */
export async function moveTuningJob(
  database: Database,
  id: string,
  from: readonly TuningStatus[],
  to: "cancelled" | "paused" | "resumed",
  event: NewWorkEvent,
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const moved = await transaction.query(
      `UPDATE fine_tuning_jobs SET
          status = CASE WHEN $3 <> 'resumed' THEN $3 WHEN hyperparameters IS NULL THEN 'validating_files' ELSE 'queued' END,
          estimated_finish = NULL, finished_at = CASE WHEN $3 = 'cancelled' THEN now() END
        WHERE id = $1 AND status = ANY($2::text[]) RETURNING id`,
      [id, from, to],
    );
    if (moved.length > 0) await addEvent(transaction, tuningTables, id, event);
    return moved.length > 0;
  });
}

/** What step `step` came to; empty where it was not told. */
export async function metricsAt(
  database: Queryable,
  jobId: string,
  step: number,
): Promise<Readonly<Record<string, unknown>>> {
  const [row] = await database.query<{ data: Readonly<Record<string, unknown>> }>(
    "SELECT data FROM fine_tuning_events WHERE job_id = $1 AND type = 'metrics' AND (data ->> 'step')::integer = $2",
    [jobId, step],
  );
  return row?.data ?? {};
}

const columns = `id, status, model, fine_tuned_model, training_file, validation_file, seed, suffix, plan, hyperparameters,
  metadata, error, trained_tokens, result_files, step, steps, train_loss, valid_loss, best_step,
  (extract(epoch FROM created_at) * 1000)::float8 AS created_ms,
  (extract(epoch FROM finished_at) * 1000)::float8 AS finished_ms,
  (extract(epoch FROM estimated_finish) * 1000)::float8 AS estimated_ms`;

interface JobRow {
  readonly id: string;
  readonly status: TuningStatus;
  readonly model: string;
  readonly fine_tuned_model: string;
  readonly training_file: string;
  readonly validation_file: string | null;
  readonly seed: number;
  readonly suffix: string | null;
  readonly plan: TuningPlan;
  readonly hyperparameters: Hyperparameters<number> | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly error: TuningError | null;
  readonly trained_tokens: number | null;
  readonly result_files: readonly string[];
  readonly step: number;
  readonly steps: number | null;
  readonly train_loss: number | null;
  readonly valid_loss: number | null;
  readonly best_step: number | null;
  readonly created_ms: number;
  readonly finished_ms: number | null;
  readonly estimated_ms: number | null;
}

function toJob(row: JobRow): StoredTuningJob {
  const { id, status, model, seed, suffix, plan, hyperparameters, metadata, error, step, steps } = row;
  return {
    id,
    status,
    model,
    seed,
    suffix,
    plan,
    hyperparameters,
    metadata,
    error,
    step,
    steps,
    fineTunedModel: row.fine_tuned_model,
    trainingFile: row.training_file,
    validationFile: row.validation_file,
    trainedTokens: row.trained_tokens,
    resultFiles: row.result_files,
    trainLoss: row.train_loss,
    validLoss: row.valid_loss,
    bestStep: row.best_step,
    createdAtMs: row.created_ms,
    finishedAtMs: row.finished_ms,
    estimatedFinishMs: hasEnded(status) ? null : row.estimated_ms,
  };
}
