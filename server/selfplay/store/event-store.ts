// Owns reading what happened to a job, in the order in which it became visible, from any event on.
// An event of a turn is stored as a reference: the turn's own row holds what was said. It does not know how events are sent.
import type { Queryable } from "../../store/database.ts";
import { toTurn, turnColumns, type TurnRow } from "./dialogue-store.ts";
import type { Json, StoredTurn } from "./records.ts";

export interface StoredEvent {
  /** Grows by one with every event of the job; nothing that is seen later has a smaller one. */
  readonly id: number;
  readonly type: "status" | "turn" | "dialogue" | "metrics";
  readonly dialogueIndex: number | null;
  /** null unless the event is a turn's. */
  readonly turn: StoredTurn | null;
  readonly data: Json | null;
  readonly createdAtMs: number;
}

/** The next events after number `after`, at most `limit`. */
export async function eventsAfter(
  database: Queryable,
  jobId: string,
  after: number,
  limit: number,
): Promise<readonly StoredEvent[]> {
  const qualified = turnColumns.replaceAll(/\b([a-z_]+)\b/g, "t.$1");
  const rows = await database.query<EventRow>(
    `SELECT e.id, e.type, e.dialogue_index, e.data, (extract(epoch FROM e.created_at) * 1000)::float8 AS created_ms,
        ${qualified}
      FROM selfplay_events e LEFT JOIN selfplay_turns t
        ON t.job_id = e.job_id AND t.dialogue_index = e.dialogue_index AND t.ordinal = e.ordinal
      WHERE e.job_id = $1 AND e.id > $2 ORDER BY e.id LIMIT $3`,
    [jobId, after, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    type: row.type,
    dialogueIndex: row.dialogue_index,
    turn: row.ordinal === null ? null : toTurn(row),
    data: row.data,
    createdAtMs: row.created_ms,
  }));
}

/** Adds an event that belongs to no single turn or dialogue. */
export async function addEvent(database: Queryable, jobId: string, type: "metrics", data: Json): Promise<void> {
  await database.query(
    `WITH job AS (UPDATE selfplay_jobs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event)
      INSERT INTO selfplay_events (job_id, id, type, data) SELECT $1, last_event, $2, $3::jsonb FROM job`,
    [jobId, type, JSON.stringify(data)],
  );
}

type EventRow = TurnRow & {
  readonly id: number;
  readonly type: StoredEvent["type"];
  readonly dialogue_index: number | null;
  readonly data: Json | null;
  readonly created_ms: number;
};
