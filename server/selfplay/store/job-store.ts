// Owns the rows of jobs: written, listed, and moved from one status to the next. Every change of status is an event of the job.
// It does not know how dialogues are played or shared; lease-store.ts does.
import type { SideUsage } from "../dialogue-types.ts";
import type { Database, Queryable } from "../../store/database.ts";
import type { JobStatus, Json, NewJob, StoredJob } from "./records.ts";
import { toJsonText } from "../../store/values.ts";

/** What a job's `stop_reason → dialogues` and status counts are made of. */
export interface DialogueTally {
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byStopReason: Readonly<Record<string, number>>;
}

const ended: ReadonlySet<JobStatus> = new Set(["completed", "failed", "cancelled"]);

/** Whether a job's status will not change any more. */
export const isEnded = (status: JobStatus) => ended.has(status);

/** Writes a job and a row for each of its dialogues. */
export async function insertJob(database: Database, job: NewJob): Promise<StoredJob> {
  return database.transaction(async (transaction) => {
    await transaction.query(
      `INSERT INTO selfplay_jobs
        (id, status, seed, count, concurrency, budget_tokens, budget_money, request, plan, metadata)
        VALUES ($1, 'queued', $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb)`,
      [
        job.id,
        job.seed,
        job.count,
        job.concurrency,
        job.budgetTokens,
        job.budgetMoney,
        toJsonText(job.request),
        toJsonText(job.plan),
        job.metadata === null ? null : toJsonText(job.metadata),
      ],
    );
    await transaction.query(
      `INSERT INTO selfplay_dialogues (job_id, index, seed_item)
        SELECT $1, place - 1, $3::jsonb -> (place - 1) FROM generate_series(1, $2::integer) AS place`,
      [job.id, job.count, toJsonText(job.seedItems)],
    );
    await addStatusEvent(transaction, job.id);
    const stored = await findJob(transaction, job.id);
    if (stored === null) throw new Error(`Job '${job.id}' was not written.`);
    return stored;
  });
}

export async function findJob(database: Queryable, id: string): Promise<StoredJob | null> {
  const [row] = await database.query<JobRow>(`SELECT ${columns} FROM selfplay_jobs WHERE id = $1`, [id]);
  return row === undefined ? null : toJob(row);
}

/** Newest first, those older than job `after`. */
export async function listJobs(
  database: Queryable,
  { limit, after }: { readonly limit: number; readonly after: string | null },
): Promise<readonly StoredJob[]> {
  const rows = await database.query<JobRow>(
    `SELECT ${columns} FROM selfplay_jobs
      WHERE $2::text IS NULL
        OR (created_at, id) < (SELECT created_at, id FROM selfplay_jobs WHERE id = $2::text)
      ORDER BY created_at DESC, id DESC LIMIT $1`,
    [limit, after],
  );
  return rows.map(toJob);
}

/** The oldest queued or running job in which a model plays or judges; null when there is none. */
export async function findJobPlaying(database: Queryable, modelId: string): Promise<string | null> {
  const [row] = await database.query<{ readonly id: string }>(
    `SELECT id FROM selfplay_jobs
      WHERE status IN ('queued', 'running')
        AND EXISTS (SELECT 1 FROM jsonb_each(plan -> 'models') AS model WHERE model.value ->> 'id' = $1)
      ORDER BY created_at, id LIMIT 1`,
    [modelId],
  );
  return row?.id ?? null;
}

/** Ids of jobs of which something may be left to do: those not ended, oldest first, and ended ones with open dialogues. */
export async function findOpenJobs(
  database: Queryable,
): Promise<readonly { readonly id: string; readonly status: JobStatus }[]> {
  return database.query(
    `SELECT id, status FROM selfplay_jobs j
      WHERE status IN ('queued', 'running')
        OR (status IN ('cancelled', 'completed', 'failed') AND completed + failed + cancelled < count)
      ORDER BY created_at, id`,
  );
}

/** How many dialogues of a job stand how, and why the finished ones ended. */
export async function tallyDialogues(database: Queryable, id: string): Promise<DialogueTally> {
  const rows = await database.query<{ status: string; stop_reason: string | null; count: number }>(
    "SELECT status, stop_reason, count(*)::integer AS count FROM selfplay_dialogues WHERE job_id = $1 GROUP BY 1, 2",
    [id],
  );
  const byStatus: Record<string, number> = {};
  const byStopReason: Record<string, number> = {};
  for (const { status, stop_reason: reason, count } of rows) {
    byStatus[status] = (byStatus[status] ?? 0) + count;
    if (reason !== null) byStopReason[reason] = (byStopReason[reason] ?? 0) + count;
  }
  return { byStatus, byStopReason };
}

/** Moves a job to `to` if its status is one of `from`; false when it is not. */
export async function moveJob(
  database: Database,
  id: string,
  from: readonly JobStatus[],
  to: JobStatus,
  error: string | null = null,
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const moved = await transaction.query(
      `UPDATE selfplay_jobs SET status = $3, error = $4,
          started_at = CASE WHEN $3 = 'running' THEN coalesce(started_at, now()) ELSE started_at END,
          ended_at = CASE WHEN $5::boolean THEN now() END
        WHERE id = $1 AND status = ANY($2::text[]) RETURNING id`,
      [id, from, to, error, isEnded(to)],
    );
    if (moved.length > 0) await addStatusEvent(transaction, id);
    return moved.length > 0;
  });
}

/** Ends the dialogues of a cancelled job that nobody plays; those in play are ended by their players. */
export async function cancelIdleDialogues(database: Queryable, id: string, reason: string): Promise<number> {
  const rows = await database.query(
    `WITH idle AS (
        SELECT d.job_id, d.index FROM selfplay_dialogues d JOIN selfplay_jobs j ON j.id = d.job_id
        WHERE d.job_id = $1 AND d.status IN ('queued', 'running') AND (d.lease_until IS NULL OR d.lease_until < now())
          AND j.status IN ('cancelled', 'completed', 'failed')
        FOR UPDATE OF d SKIP LOCKED),
      closed AS (
        UPDATE selfplay_dialogues d SET status = 'cancelled', stop_reason = $2, ended_at = now(),
            lease_until = NULL, lease_token = lease_token + 1
          FROM idle WHERE d.job_id = idle.job_id AND d.index = idle.index RETURNING d.index)
      UPDATE selfplay_jobs SET cancelled = cancelled + (SELECT count(*) FROM closed)
        WHERE id = $1 AND EXISTS (SELECT FROM closed) RETURNING (SELECT count(*)::integer FROM closed) AS count`,
    [id, reason],
  );
  return (rows[0] as { count: number } | undefined)?.count ?? 0;
}

/** Removes a job with everything that belongs to it; false when there is none. */
export async function deleteJob(database: Queryable, id: string): Promise<boolean> {
  return (await database.query("DELETE FROM selfplay_jobs WHERE id = $1 RETURNING id", [id])).length > 0;
}

/** Adds the event that tells a job's status as it is now. */
async function addStatusEvent(database: Queryable, id: string): Promise<void> {
  await database.query(
    `WITH job AS (UPDATE selfplay_jobs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event, status, error)
      INSERT INTO selfplay_events (job_id, id, type, data)
        SELECT $1, last_event, 'status', jsonb_build_object('status', status, 'error', error) FROM job`,
    [id],
  );
}

const columns = `id, status, seed, count, concurrency, budget_tokens, budget_money, request, plan, metadata, completed, failed,
  cancelled, turns, user_prompt_tokens, user_cached_tokens, user_completion_tokens, assistant_prompt_tokens,
  assistant_cached_tokens, assistant_completion_tokens, judge_prompt_tokens, judge_cached_tokens, judge_completion_tokens, money, last_event, error,
  (extract(epoch FROM created_at) * 1000)::float8 AS created_ms, (extract(epoch FROM started_at) * 1000)::float8 AS started_ms,
  (extract(epoch FROM ended_at) * 1000)::float8 AS ended_ms`;

interface JobRow {
  readonly id: string;
  readonly status: JobStatus;
  readonly seed: number;
  readonly count: number;
  readonly concurrency: number | null;
  readonly budget_tokens: number | null;
  readonly budget_money: number | null;
  readonly request: Json;
  readonly plan: Json;
  readonly metadata: Json | null;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly turns: number;
  readonly user_prompt_tokens: number;
  readonly user_cached_tokens: number;
  readonly user_completion_tokens: number;
  readonly assistant_prompt_tokens: number;
  readonly assistant_cached_tokens: number;
  readonly assistant_completion_tokens: number;
  readonly judge_prompt_tokens: number;
  readonly judge_cached_tokens: number;
  readonly judge_completion_tokens: number;
  readonly money: number;
  readonly last_event: number;
  readonly error: string | null;
  readonly created_ms: number;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
}

function toJob(row: JobRow): StoredJob {
  const { id, status, seed, count, concurrency, request, plan, metadata, completed, failed, cancelled } = row;
  return {
    id,
    status,
    seed,
    count,
    concurrency,
    request,
    plan,
    metadata,
    completed,
    failed,
    cancelled,
    budgetTokens: row.budget_tokens,
    budgetMoney: row.budget_money,
    turns: row.turns,
    usage: {
      user: usageOf(row.user_prompt_tokens, row.user_cached_tokens, row.user_completion_tokens),
      assistant: usageOf(row.assistant_prompt_tokens, row.assistant_cached_tokens, row.assistant_completion_tokens),
      judge: usageOf(row.judge_prompt_tokens, row.judge_cached_tokens, row.judge_completion_tokens),
    },
    money: row.money,
    error: row.error,
    lastEvent: row.last_event,
    createdAtMs: row.created_ms,
    startedAtMs: row.started_ms,
    endedAtMs: row.ended_ms,
  };
}

function usageOf(promptTokens: number, cachedTokens: number, completionTokens: number): SideUsage {
  return { promptTokens, cachedTokens, prefilledTokens: promptTokens - cachedTokens, completionTokens };
}
