// Owns the events of fine-tuning jobs: added in the order in which they become visible, and read back, one page or all steps.
// It does not know how they are sent.
import type { Queryable } from "../store/database.ts";
import { toJsonText, toText } from "../store/values.ts";
import type { NewTuningEvent, StoredTuningEvent } from "./records.ts";

/** Adds an event. The job's row is locked by it, so that no reader sees a number before a smaller one. */
export async function addEvent(database: Queryable, jobId: string, event: NewTuningEvent): Promise<void> {
  const { level, type, message, data } = event;
  await database.query(
    `WITH job AS (UPDATE fine_tuning_jobs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event)
      INSERT INTO fine_tuning_events (job_id, id, level, type, message, data)
        SELECT $1, last_event, $2, $3, $4, $5::jsonb FROM job`,
    [jobId, level, type, toText(message), data === null ? null : toJsonText(data)],
  );
}

/** Newest first, those before event `before`; null begins with the newest. */
export async function listEvents(
  database: Queryable,
  jobId: string,
  { limit, before }: { readonly limit: number; readonly before: number | null },
): Promise<readonly StoredTuningEvent[]> {
  const rows = await database.query<EventRow>(
    `SELECT ${columns} FROM fine_tuning_events
      WHERE job_id = $1 AND ($2::bigint IS NULL OR id < $2::bigint) ORDER BY id DESC LIMIT $3`,
    [jobId, before, limit],
  );
  return rows.map(toEvent);
}

/** What was measured, from the first step on; a page behind event `after`. */
export async function metricsAfter(
  database: Queryable,
  jobId: string,
  { limit, after }: { readonly limit: number; readonly after: number },
): Promise<readonly StoredTuningEvent[]> {
  const rows = await database.query<EventRow>(
    `SELECT ${columns} FROM fine_tuning_events
      WHERE job_id = $1 AND type = 'metrics' AND id > $2 ORDER BY id LIMIT $3`,
    [jobId, after, limit],
  );
  return rows.map(toEvent);
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

const columns = "id, level, type, message, data, (extract(epoch FROM created_at) * 1000)::float8 AS created_ms";

interface EventRow extends NewTuningEvent {
  readonly id: number;
  readonly created_ms: number;
}

function toEvent({ id, level, type, message, data, created_ms: createdAtMs }: EventRow): StoredTuningEvent {
  return { id, level, type, message, data, createdAtMs };
}
