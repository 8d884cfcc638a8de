// Owns what happened to pieces of long work: added in the order in which it becomes visible, and read back a page at a time.
// It does not know how events are sent.
import type { Queryable } from "../store/database.ts";
import { toJsonText, toText } from "../store/values.ts";
import type { WorkTables } from "./lease-rows.ts";

export interface NewWorkEvent {
  readonly level: "info" | "warn" | "error";
  readonly type: "message" | "metrics";
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | null;
}

export interface StoredWorkEvent extends NewWorkEvent {
  /** Grows by one with every event of the job. */
  readonly id: number;
  /** Unix milliseconds of the database's clock. */
  readonly createdAtMs: number;
}

/** Adds an event. The job's row is locked by it, so that no reader sees a number before a smaller one. */
export async function addEvent(
  database: Queryable,
  { jobs, events }: WorkTables,
  jobId: string,
  { level, type, message, data }: NewWorkEvent,
): Promise<void> {
  await database.query(
    `WITH job AS (UPDATE ${jobs} SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event)
      INSERT INTO ${events} (job_id, id, level, type, message, data)
        SELECT $1, last_event, $2, $3, $4, $5::jsonb FROM job`,
    [jobId, level, type, toText(message), data === null ? null : toJsonText(data)],
  );
}

/** Newest first, those before event `before`; null begins with the newest. */
export async function listEvents(
  database: Queryable,
  { events }: WorkTables,
  jobId: string,
  { limit, before }: { readonly limit: number; readonly before: number | null },
): Promise<readonly StoredWorkEvent[]> {
  const rows = await database.query<EventRow>(
    `SELECT ${columns} FROM ${events}
      WHERE job_id = $1 AND ($2::bigint IS NULL OR id < $2::bigint) ORDER BY id DESC LIMIT $3`,
    [jobId, before, limit],
  );
  return rows.map(toEvent);
}

/** Oldest first, those behind event `after`; of one type, or of all. */
export async function eventsAfter(
  database: Queryable,
  { events }: WorkTables,
  jobId: string,
  {
    limit,
    after,
    type,
  }: { readonly limit: number; readonly after: number; readonly type: NewWorkEvent["type"] | null },
): Promise<readonly StoredWorkEvent[]> {
  const rows = await database.query<EventRow>(
    `SELECT ${columns} FROM ${events}
      WHERE job_id = $1 AND ($4::text IS NULL OR type = $4::text) AND id > $2 ORDER BY id LIMIT $3`,
    [jobId, after, limit, type],
  );
  return rows.map(toEvent);
}

const columns = "id, level, type, message, data, (extract(epoch FROM created_at) * 1000)::float8 AS created_ms";

interface EventRow extends NewWorkEvent {
  readonly id: number;
  readonly created_ms: number;
}

function toEvent({ id, level, type, message, data, created_ms: createdAtMs }: EventRow): StoredWorkEvent {
  return { id, level, type, message, data, createdAtMs };
}
