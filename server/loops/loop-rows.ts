// Owns the rows of loops and of their rounds: written, listed, and moved from one status to the next by what clients ask.
// It does not know who works at a loop.
import type { Database, Queryable } from "../store/database.ts";
import { toJsonText } from "../store/values.ts";
import { addEvent, type NewWorkEvent } from "../work/event-rows.ts";
import {
  type LoopModels,
  type LoopPlan,
  type LoopStatus,
  loopTables,
  type NewLoop,
  openStatuses,
  type ReportKind,
  type StoredLoop,
  type StoredRound,
} from "./records.ts";

export interface LoopPage {
  readonly limit: number;
  /** Id of the loop behind which the page begins. */
  readonly after: string | null;
}

/** Why a held-out file cannot be used; `purpose` is null where there is no such file. */
export interface FileObstacle {
  readonly index: number;
  readonly id: string;
  readonly purpose: string | null;
}

/** Writes a loop with its first event, or says which file it cannot have. Its files cannot be deleted in between. */
export async function insertLoop(database: Database, loop: NewLoop, event: NewWorkEvent): Promise<FileObstacle | null> {
  return database.transaction(async (transaction) => {
    for (const [index, id] of loop.heldoutFiles.entries()) {
      const [row] = await transaction.query<{ purpose: string }>(
        "SELECT purpose FROM files WHERE id = $1 AND (expires_at IS NULL OR expires_at > now()) FOR SHARE",
        [id],
      );
      if (row?.purpose !== "fine-tune") return { index, id, purpose: row?.purpose ?? null };
    }
    const { id, name, rounds, plan, heldoutFiles, metadata } = loop;
    await transaction.query(
      `INSERT INTO loops (id, name, rounds, plan, heldout_files, models, metadata)
        VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6::jsonb, $7::jsonb)`,
      [
        id,
        name,
        rounds,
        toJsonText(plan),
        toJsonText(heldoutFiles),
        toJsonText(plan.begins),
        metadata === null ? null : toJsonText(metadata),
      ],
    );
    await addEvent(transaction, loopTables, id, event);
    return null;
  });
}

export async function findLoop(database: Queryable, id: string): Promise<StoredLoop | null> {
  const [row] = await database.query<LoopRow>(`SELECT ${columns} FROM loops WHERE id = $1`, [id]);
  return row === undefined ? null : toLoop(row);
}

/** Newest first, those older than loop `after`. */
export async function listLoops(database: Queryable, { limit, after }: LoopPage): Promise<readonly StoredLoop[]> {
  const rows = await database.query<LoopRow>(
    `SELECT ${columns} FROM loops
      WHERE ($2::text IS NULL OR (created_at, id) < (SELECT created_at, id FROM loops WHERE id = $2::text))
      ORDER BY created_at DESC, id DESC LIMIT $1`,
    [limit, after],
  );
  return rows.map(toLoop);
}

/** Loops that wait to be worked at, or are, oldest first. */
export async function workableLoops(database: Queryable): Promise<readonly StoredLoop[]> {
  const rows = await database.query<LoopRow>(
    `SELECT ${columns} FROM loops WHERE status IN ('queued', 'running') ORDER BY created_at, id`,
  );
  return rows.map(toLoop);
}

/** The id of a loop that has not ended and that began with this model, or made it; null when there is none. */
export async function findLoopOf(database: Queryable, modelId: string): Promise<string | null> {
  const [row] = await database.query<{ id: string }>(
    `SELECT id FROM loops WHERE status = ANY($2::text[]) AND (
        $1 IN (plan #>> '{begins,user,id}', plan #>> '{begins,assistant,id}', models #>> '{user,id}', models #>> '{assistant,id}')
        OR EXISTS (SELECT FROM loop_rounds r WHERE r.loop_id = loops.id AND r.accepted ? $1)) LIMIT 1`,
    [modelId, openStatuses],
  );
  return row?.id ?? null;
}

/** How many loops stand how. */
export async function countLoops(database: Queryable): Promise<ReadonlyMap<LoopStatus, number>> {
  const rows = await database.query<{ status: LoopStatus; count: number }>(
    "SELECT status, count(*)::integer AS count FROM loops GROUP BY status",
  );
  return new Map(rows.map(({ status, count }) => [status, count]));
}

/** Moves a loop if its status is one of `from`; false when it is not. */
export async function moveLoop(
  database: Database,
  id: string,
  from: readonly LoopStatus[],
  to: "cancelled" | "paused" | "queued",
  event: NewWorkEvent,
): Promise<boolean> {
  return database.transaction(async (transaction) => {
    const moved = await transaction.query(
      `UPDATE loops SET status = $3, progress = NULL, finished_at = CASE WHEN $3 = 'cancelled' THEN now() END
        WHERE id = $1 AND status = ANY($2::text[]) RETURNING id`,
      [id, from, to],
    );
    if (moved.length > 0) await addEvent(transaction, loopTables, id, event);
    return moved.length > 0;
  });
}

/** Removes a loop that has ended, with its events and reports; false when it has not. */
export async function deleteLoop(database: Queryable, id: string): Promise<boolean> {
  const rows = await database.query("DELETE FROM loops WHERE id = $1 AND NOT status = ANY($2::text[]) RETURNING id", [
    id,
    openStatuses,
  ]);
  return rows.length > 0;
}

/** Rounds that are over, the first first. */
export async function listRounds(database: Queryable, loopId: string): Promise<readonly StoredRound[]> {
  const rows = await database.query<{ round: number; accepted: readonly string[]; ended_ms: number }>(
    `SELECT round, accepted, (extract(epoch FROM ended_at) * 1000)::float8 AS ended_ms
      FROM loop_rounds WHERE loop_id = $1 ORDER BY round`,
    [loopId],
  );
  return rows.map(({ round, accepted, ended_ms: endedAtMs }) => ({ round, accepted, endedAtMs }));
}

/** The report of a round; null where the round is not over. */
export async function findReport(
  database: Queryable,
  loopId: string,
  round: number,
  kind: ReportKind,
): Promise<string | null> {
  const [row] = await database.query<{ report: string }>(
    `SELECT ${reportColumns[kind]} AS report FROM loop_rounds WHERE loop_id = $1 AND round = $2`,
    [loopId, round],
  );
  return row?.report ?? null;
}

const reportColumns: Readonly<Record<ReportKind, string>> = {
  json: "report_json",
  markdown: "report_markdown",
  html: "report_html",
};

const columns = `id, status, name, rounds, plan, heldout_files, models, metadata, round, step, progress, selfplay_job, error,
  last_event, (extract(epoch FROM created_at) * 1000)::float8 AS created_ms,
  (extract(epoch FROM started_at) * 1000)::float8 AS started_ms,
  (extract(epoch FROM finished_at) * 1000)::float8 AS finished_ms`;

interface LoopRow {
  readonly id: string;
  readonly status: LoopStatus;
  readonly name: string;
  readonly rounds: number;
  readonly plan: LoopPlan;
  readonly heldout_files: readonly string[];
  readonly models: LoopModels;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly round: number;
  readonly step: string | null;
  readonly progress: string | null;
  readonly selfplay_job: string | null;
  readonly error: string | null;
  readonly last_event: number;
  readonly created_ms: number;
  readonly started_ms: number | null;
  readonly finished_ms: number | null;
}

function toLoop(row: LoopRow): StoredLoop {
  const { id, status, name, rounds, plan, models, metadata, round, step, progress, error } = row;
  return {
    id,
    status,
    name,
    rounds,
    plan,
    models,
    metadata,
    round,
    step,
    progress,
    error,
    heldoutFiles: row.heldout_files,
    selfplayJob: row.selfplay_job,
    lastEvent: row.last_event,
    createdAtMs: row.created_ms,
    startedAtMs: row.started_ms,
    finishedAtMs: row.finished_ms,
  };
}
