// Owns who may work at which piece of work in the store: a lease that is taken, renewed and left. Everything that is written while it is
// held bears its token, so that a gateway that was taken for dead can write nothing. It does not know what the work is.
import type { Queryable } from "../store/database.ts";

/** The tables of one kind of work: its jobs, and what happened to them. They have the same columns for leases and events. */
export type WorkTables =
  | { readonly jobs: "fine_tuning_jobs"; readonly events: "fine_tuning_events" }
  | { readonly jobs: "loops"; readonly events: "loop_events" };

/** The right to write what a job comes to, until somebody else takes it over. */
export interface Lease {
  readonly jobId: string;
  readonly token: number;
}

export interface Claim extends Lease {
  /** How often the job was taken since it last came forward. */
  readonly attempts: number;
}

export interface ClaimOptions {
  readonly owner: string;
  readonly leaseMs: number;
  readonly jobs: readonly string[];
  readonly statuses: readonly string[];
}

/** Takes the oldest of these jobs that nobody works at; null when there is none. */
export async function claimJob(
  database: Queryable,
  { jobs: table }: WorkTables,
  { owner, leaseMs, jobs, statuses }: ClaimOptions,
): Promise<Claim | null> {
  const [row] = await database.query<{ id: string; lease_token: number; attempts: number }>(
    `WITH next AS (
        SELECT id FROM ${table}
        WHERE id = ANY($3::text[]) AND status = ANY($4::text[]) AND available_at <= now()
          AND (lease_until IS NULL OR lease_until < now())
        ORDER BY created_at, id FOR UPDATE SKIP LOCKED LIMIT 1)
      UPDATE ${table} j SET lease_owner = $1, lease_token = j.lease_token + 1, attempts = j.attempts + 1,
          lease_until = now() + $2::float8 * interval '1 millisecond'
        FROM next WHERE j.id = next.id RETURNING j.id, j.lease_token, j.attempts`,
    [owner, leaseMs, jobs, statuses],
  );
  return row === undefined ? null : { jobId: row.id, token: row.lease_token, attempts: row.attempts };
}

/** Makes a lease last from now. Returns how its job stands, or null where it is held no more. */
export async function renewLease<Status extends string>(
  database: Queryable,
  { jobs: table }: WorkTables,
  { jobId, token }: Lease,
  leaseMs: number,
): Promise<Status | null> {
  const [row] = await database.query<{ status: Status }>(
    `UPDATE ${table} SET lease_until = now() + $3::float8 * interval '1 millisecond'
      WHERE id = $1 AND lease_token = $2 RETURNING status`,
    [jobId, token, leaseMs],
  );
  return row?.status ?? null;
}

/** Leaves a job to whoever comes next, no sooner than `delayMs` from now; `isNoAttempt` where nothing had gone wrong. */
export async function releaseLease(
  database: Queryable,
  { jobs: table }: WorkTables,
  { jobId, token }: Lease,
  { delayMs, isNoAttempt }: { readonly delayMs: number; readonly isNoAttempt: boolean },
): Promise<void> {
  await database.query(
    `UPDATE ${table} SET lease_until = NULL, lease_owner = NULL,
        attempts = CASE WHEN $4::boolean THEN greatest(0, attempts - 1) ELSE attempts END,
        available_at = now() + $3::float8 * interval '1 millisecond'
      WHERE id = $1 AND lease_token = $2`,
    [jobId, token, delayMs, isNoAttempt],
  );
}

/** Ends every lease there is. Only for a database that no other process can use. */
export async function voidLeases(database: Queryable, { jobs: table }: WorkTables): Promise<void> {
  await database.query(`UPDATE ${table} SET lease_until = NULL WHERE lease_until IS NOT NULL`);
}
