// Owns everything that is written while a loop is worked at: each write is one statement or transaction with the proof that the writer
// still holds the loop. It does not know what the work is.
import type { Database, Queryable } from "../store/database.ts";
import { toJsonText, toText } from "../store/values.ts";
import { addEvent, type NewWorkEvent } from "../work/event-rows.ts";
import type { Lease } from "../work/lease-rows.ts";
import { loopTables, type NewRound } from "./records.ts";

/** A step begins, for the first time or once more. */
export async function commitLoopStep(
  database: Database,
  { jobId, token }: Lease,
  round: number,
  step: string,
  event: NewWorkEvent,
): Promise<void> {
  await database.transaction(async (transaction) => {
    const moved = await transaction.query(
      `UPDATE loops SET status = 'running', round = $3, step = $4, progress = NULL,
          attempts = CASE WHEN round = $3 AND step IS NOT DISTINCT FROM $4 THEN attempts ELSE 0 END,
          selfplay_job = CASE WHEN round = $3 THEN selfplay_job END, started_at = coalesce(started_at, now())
        WHERE id = $1 AND lease_token = $2 AND status IN ('queued', 'running') RETURNING id`,
      [jobId, token, round, step],
    );
    if (moved.length > 0) await addEvent(transaction, loopTables, jobId, event);
  });
}

/** How far the step is. */
export async function commitProgress(database: Queryable, { jobId, token }: Lease, text: string): Promise<void> {
  await database.query("UPDATE loops SET progress = $3 WHERE id = $1 AND lease_token = $2 AND status = 'running'", [
    jobId,
    token,
    toText(text),
  ]);
}

/** The self-play job of the round. */
export async function commitSelfplayJob(
  database: Queryable,
  { jobId, token }: Lease,
  selfplayJob: string,
): Promise<void> {
  await database.query("UPDATE loops SET selfplay_job = $3 WHERE id = $1 AND lease_token = $2", [
    jobId,
    token,
    toText(selfplayJob),
  ]);
}

/** A round is over. One that was written before is left as it was. */
export async function commitRound(
  database: Database,
  { jobId, token }: Lease,
  { round, accepted, user, assistant, reports }: NewRound,
  event: NewWorkEvent,
): Promise<void> {
  await database.transaction(async (transaction) => {
    const [held] = await transaction.query<{ models: Readonly<Record<"user" | "assistant", { readonly id: string }>> }>(
      "SELECT models FROM loops WHERE id = $1 AND lease_token = $2 FOR UPDATE",
      [jobId, token],
    );
    if (held === undefined) return;
    const added = await transaction.query(
      `INSERT INTO loop_rounds (loop_id, round, accepted, report_json, report_markdown, report_html)
        VALUES ($1, $2, $3::jsonb, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING round`,
      [jobId, round, toJsonText(accepted), toText(reports.json), toText(reports.markdown), toText(reports.html)],
    );
    if (added.length === 0) return;
    const next = (role: "user" | "assistant", id: string) =>
      held.models[role].id === id ? held.models[role] : { id, hash: null };
    await transaction.query("UPDATE loops SET models = $2::jsonb WHERE id = $1", [
      jobId,
      toJsonText({ user: next("user", user), assistant: next("assistant", assistant) }),
    ]);
    await addEvent(transaction, loopTables, jobId, event);
  });
}

/** Ends a loop; false where the lease is lost or the loop was cancelled, and then nothing is written. */
export async function endLoop(
  database: Database,
  { jobId, token }: Lease,
  error: string | null,
  event: NewWorkEvent,
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const held = await transaction.query(
      `UPDATE loops SET status = $3, error = $4, step = NULL, progress = NULL, finished_at = now(),
          lease_until = NULL, lease_owner = NULL
        WHERE id = $1 AND lease_token = $2 AND status IN ('queued', 'running', 'paused') RETURNING id`,
      [jobId, token, error === null ? "completed" : "failed", error === null ? null : toText(error)],
    );
    if (held.length > 0) await addEvent(transaction, loopTables, jobId, event);
    return held.length > 0;
  });
}
