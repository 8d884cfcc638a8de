// Owns who may play which dialogue, and everything that is written while it is played: leases, heartbeats, turns, ends.
// The queue is the table of dialogues itself, not a second one beside it (such as pg-boss keeps): a turn, its event, the job's sums and
// the proof that the writer still holds the dialogue are then one statement, so that a gateway that was taken for dead can write nothing.
// It does not know what a dialogue is about.
import type { ChatUsage, ModelRole } from "../../../runtime/chat-model.ts";
import type { StopReason } from "../dialogue-types.ts";
import type { Database, Queryable } from "../../store/database.ts";
import { type JobStatus, type Json, type Lease, LeaseLostError, type StoredTurn } from "./records.ts";
import { toJsonText, toText } from "../../store/values.ts";

export interface ClaimOptions {
  /** Names the gateway to people who look into the table. */
  readonly owner: string;
  readonly leaseMs: number;
  /** Jobs from which one may be taken now. */
  readonly jobs: readonly string[];
}

/** What the job stands at after something of it was written. */
export interface JobProgress {
  readonly status: JobStatus;
  /** Whether its tokens or money are spent. */
  readonly isSpent: boolean;
}

/** Takes the next dialogue that nobody plays: of the oldest job first, in order. null when there is none. */
export async function claimDialogue(
  database: Queryable,
  { owner, leaseMs, jobs }: ClaimOptions,
): Promise<(Lease & { readonly attempts: number; readonly seedItem: Json | null }) | null> {
  const [row] = await database.query<{
    job_id: string;
    index: number;
    lease_token: number;
    attempts: number;
    seed_item: Json | null;
  }>(
    `WITH next AS (
        SELECT d.job_id, d.index FROM selfplay_dialogues d JOIN selfplay_jobs j ON j.id = d.job_id
        WHERE j.status IN ('queued', 'running') AND j.id = ANY($3::text[])
          AND d.status IN ('queued', 'running') AND (d.lease_until IS NULL OR d.lease_until < now())
          AND d.available_at <= now()
        ORDER BY j.created_at, j.id, d.index
        FOR UPDATE OF d SKIP LOCKED LIMIT 1)
      UPDATE selfplay_dialogues d SET status = 'running', lease_owner = $1, lease_token = d.lease_token + 1,
          lease_until = now() + $2::float8 * interval '1 millisecond', attempts = d.attempts + 1,
          started_at = coalesce(d.started_at, now())
        FROM next WHERE d.job_id = next.job_id AND d.index = next.index
        RETURNING d.job_id, d.index, d.lease_token, d.attempts, d.seed_item`,
    [owner, leaseMs, jobs],
  );
  if (row === undefined) return null;
  const { job_id: jobId, index, lease_token: token, attempts, seed_item: seedItem } = row;
  return { jobId, index, token, attempts, seedItem };
}

/** Makes leases last from now. Returns the state of the job of each that is still held, by `jobId/index`. */
export async function renewLeases(
  database: Queryable,
  leases: readonly Lease[],
  leaseMs: number,
): Promise<ReadonlyMap<string, JobStatus>> {
  const rows = await database.query<{ job_id: string; index: number; status: JobStatus }>(
    `UPDATE selfplay_dialogues d SET lease_until = now() + $2::float8 * interval '1 millisecond'
      FROM jsonb_to_recordset($1::jsonb) AS held("jobId" text, "index" integer, "token" bigint), selfplay_jobs j
      WHERE d.job_id = held."jobId" AND d.index = held."index" AND d.lease_token = held."token" AND j.id = d.job_id
        AND d.status = 'running'
      RETURNING d.job_id, d.index, j.status`,
    [JSON.stringify(leases.map(({ jobId, index, token }) => ({ jobId, index, token }))), leaseMs],
  );
  return new Map(rows.map(({ job_id: jobId, index, status }) => [`${jobId}/${index}`, status]));
}

/** Puts a dialogue back for whoever comes next, no sooner than `delayMs` from now. A lost lease is no error here. */
export async function releaseDialogue(database: Queryable, lease: Lease, delayMs = 0): Promise<void> {
  await database.query(
    `UPDATE selfplay_dialogues SET status = 'queued', lease_until = NULL, lease_owner = NULL,
        available_at = now() + $4::float8 * interval '1 millisecond', attempts = greatest(0, attempts - 1)
      WHERE job_id = $1 AND index = $2 AND lease_token = $3 AND status = 'running'`,
    [lease.jobId, lease.index, lease.token, delayMs],
  );
}

/**
 * Puts a dialogue back to be tried again from its last committed turn. Says no, and changes nothing, where that has been tried
 * `maxAttempts` times since that turn.
 */
export async function retryDialogue(
  database: Queryable,
  lease: Lease,
  delayMs: number,
  maxAttempts: number,
): Promise<boolean> {
  const rows = await database.query(
    `UPDATE selfplay_dialogues SET status = 'queued', lease_until = NULL, lease_owner = NULL,
        available_at = now() + $4::float8 * interval '1 millisecond'
      WHERE job_id = $1 AND index = $2 AND lease_token = $3 AND status = 'running' AND attempts < $5::integer
      RETURNING index`,
    [lease.jobId, lease.index, lease.token, delayMs, maxAttempts],
  );
  return rows.length > 0;
}

/** Ends every lease there is. Only for a database that no other process can use. */
export async function voidLeases(database: Queryable): Promise<void> {
  await database.query("UPDATE selfplay_dialogues SET lease_until = NULL WHERE lease_until IS NOT NULL");
}

/** Commits one turn with its event and the job's sums, and renews the lease. Throws LeaseLostError, and has then written nothing. */
export async function commitTurn(
  database: Queryable,
  lease: Lease,
  turn: StoredTurn,
  money: number,
  leaseMs: number,
): Promise<JobProgress> {
  const { origin } = turn;
  const losers = origin?.choice?.losers ?? [];
  const sum = (field: "promptTokens" | "cachedTokens" | "completionTokens") =>
    losers.reduce((total, { usage }) => total + usage[field], origin?.usage[field] ?? 0);
  const said = {
    ordinal: turn.ordinal,
    role: turn.role,
    turn: turn.turn,
    is_kept: turn.isKept,
    rejection: turn.rejection ?? null,
    cause: origin?.cause ?? null,
    seed: origin?.seed ?? null,
    prompt_tokens: origin?.usage.promptTokens ?? null,
    cached_tokens: origin?.usage.cachedTokens ?? null,
    completion_tokens: origin?.usage.completionTokens ?? null,
    choice: origin?.choice ?? null,
    first_token_ms: turn.firstTokenMs,
    duration_ms: turn.durationMs,
  };
  const [job] = await database.query<{ job_status: JobStatus; is_spent: boolean | null }>(
    `SELECT * FROM selfplay_commit_turn($1, $2::integer, $3::bigint, $4::float8, $5::jsonb, $6, $7::jsonb, $8::integer[],
        $9::integer[], $10::float8)`,
    [
      lease.jobId,
      lease.index,
      lease.token,
      leaseMs,
      toJsonText(said),
      toText(turn.content),
      origin === null ? null : JSON.stringify(origin.tokenIds),
      [sum("promptTokens"), sum("cachedTokens"), sum("completionTokens")],
      judgeTokens(origin?.choice?.judge?.usage),
      money,
    ],
  );
  if (job === undefined) throw new LeaseLostError(lease);
  return { status: job.job_status, isSpent: job.is_spent === true };
}

/** Commits what asking a judge cost, and renews the lease. Throws LeaseLostError, and has then written nothing. */
export async function commitVerdict(
  database: Queryable,
  lease: Lease,
  usage: ChatUsage,
  money: number,
  leaseMs: number,
): Promise<JobProgress> {
  const [job] = await database.query<{ status: JobStatus; is_spent: boolean | null }>(
    `WITH held AS (
        UPDATE selfplay_dialogues SET lease_until = now() + $4::float8 * interval '1 millisecond'
          WHERE job_id = $1 AND index = $2 AND lease_token = $3 AND status = 'running' RETURNING job_id),
      job AS (
        UPDATE selfplay_jobs j SET money = money + $5::float8, ${judgeSums(6)}
          FROM held WHERE j.id = held.job_id RETURNING j.*)
      SELECT status, ${isSpent} AS is_spent FROM job`,
    [lease.jobId, lease.index, lease.token, leaseMs, money, ...judgeTokens(usage)],
  );
  if (job === undefined) throw new LeaseLostError(lease);
  return { status: job.status, isSpent: job.is_spent === true };
}

export interface DialogueEnd {
  readonly status: "completed" | "failed" | "cancelled";
  readonly stopReason: StopReason;
  readonly stoppedBy: ModelRole | null;
  readonly record: Json;
  readonly error: string | null;
  /** Turns that were kept until a rule took them back. */
  readonly takenBack: readonly number[];
}

/** Ends a dialogue, and with the last one its job. Throws LeaseLostError, and has then written nothing. */
export async function endDialogue(database: Database, lease: Lease, end: DialogueEnd): Promise<JobProgress> {
  const { jobId, index, token } = lease;
  return database.transaction(async (transaction) => {
    const held = await transaction.query(
      `UPDATE selfplay_dialogues SET status = $4, stop_reason = $5, stopped_by = $6, record = $7::jsonb, error = $8,
          ended_at = now(), lease_until = NULL, lease_owner = NULL
        WHERE job_id = $1 AND index = $2 AND lease_token = $3 AND status = 'running' RETURNING index`,
      [jobId, index, token, end.status, end.stopReason, end.stoppedBy, toJsonText(end.record), end.error],
    );
    if (held.length === 0) throw new LeaseLostError(lease);
    if (end.takenBack.length > 0) {
      await transaction.query(
        `UPDATE selfplay_turns SET is_kept = false
          WHERE job_id = $1 AND dialogue_index = $2 AND ordinal = ANY($3::integer[])`,
        [jobId, index, end.takenBack],
      );
    }
    const [job] = await transaction.query<{ status: JobStatus; is_spent: boolean | null }>(
      `WITH job AS (
          UPDATE selfplay_jobs SET last_event = last_event + 1, ${end.status} = ${end.status} + 1 WHERE id = $1
          RETURNING *),
        event AS (
          INSERT INTO selfplay_events (job_id, id, type, dialogue_index, data)
            SELECT id, last_event, 'dialogue', $2, jsonb_build_object('status', $3::text, 'stop_reason', $4::text,
              'stopped_by', $5::text, 'error', $6::text, 'completed', completed, 'failed', failed,
              'cancelled', cancelled, 'total', count) FROM job)
        SELECT status, ${isSpent} AS is_spent FROM job`,
      [jobId, index, end.status, end.stopReason, end.stoppedBy, end.error],
    );
    if (job === undefined) throw new LeaseLostError(lease);
    return { status: job.status, isSpent: job.is_spent === true };
  });
}

/** Whether no dialogue of a job is left to play. */
export async function isPlayedOut(database: Queryable, jobId: string): Promise<boolean> {
  const rows = await database.query(
    "SELECT FROM selfplay_dialogues WHERE job_id = $1 AND status IN ('queued', 'running') LIMIT 1",
    [jobId],
  );
  return rows.length === 0;
}

/** Adds three parameters from number `first` on, those of `judgeTokens`. */
function judgeSums(first: number): string {
  return ["prompt", "cached", "completion"]
    .map((kind, place) => `judge_${kind}_tokens = judge_${kind}_tokens + $${first + place}::integer`)
    .join(", ");
}

function judgeTokens(usage: ChatUsage | undefined): readonly number[] {
  return [usage?.promptTokens ?? 0, usage?.cachedTokens ?? 0, usage?.completionTokens ?? 0];
}

const isSpent = `(money >= budget_money OR ${["user", "assistant", "judge"]
  .map((who) => `${who}_prompt_tokens - ${who}_cached_tokens + ${who}_completion_tokens`)
  .join(" + ")} >= budget_tokens)`;
