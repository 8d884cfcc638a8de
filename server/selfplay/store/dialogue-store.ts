// Owns reading dialogues and their turns back, one or a page at a time.
// It writes nothing, and does not know in which format dialogues leave the process.
import type { ModelRole, StopCause } from "../../../runtime/chat-model.ts";
import type { Choice, StopReason } from "../dialogue-types.ts";
import type { Queryable } from "../../store/database.ts";
import type { DialogueStatus, Json, StoredDialogue, StoredTurn } from "./records.ts";
import { toJsonText } from "../../store/values.ts";

export interface DialogueFilter {
  /** Only those with one of these statuses; empty for all. */
  readonly statuses: readonly DialogueStatus[];
  /** Only those that ended for one of these reasons; empty for all. */
  readonly stopReasons: readonly string[];
  /** Only those of jobs with one of these simulators; empty for all. */
  readonly simulators: readonly string[];
  /** Leaves out those with one of these quality flags. */
  readonly withoutFlags: readonly string[];
}

interface Page extends DialogueFilter {
  /** Only dialogues behind this index. */
  readonly after: number;
  readonly limit: number;
  readonly isDescending?: boolean;
}

/** Dialogues of a job in their order, with every turn. */
export async function listDialogues(
  database: Queryable,
  jobId: string,
  { after, limit, statuses, stopReasons, simulators, withoutFlags, isDescending = false }: Page,
): Promise<readonly StoredDialogue[]> {
  const rows = await database.query<DialogueRow>(
    `SELECT ${columns} FROM selfplay_dialogues
      WHERE job_id = $1 AND ${isDescending ? "index < $2" : "index > $2"}
        AND (cardinality($4::text[]) = 0 OR status = ANY($4::text[]))
        AND (cardinality($5::text[]) = 0 OR stop_reason = ANY($5::text[]))
        AND (cardinality($6::text[]) = 0 OR quality IS NULL
          OR NOT EXISTS (SELECT FROM unnest($6::text[]) AS flag WHERE quality -> flag = 'true'::jsonb))
        AND (cardinality($7::text[]) = 0
          OR (SELECT plan ->> 'simulator' FROM selfplay_jobs WHERE id = $1) = ANY($7::text[]))
      ORDER BY index ${isDescending ? "DESC" : "ASC"} LIMIT $3`,
    [jobId, after, limit, statuses, stopReasons, withoutFlags, simulators],
  );
  const turns = await turnsOf(
    database,
    jobId,
    rows.map(({ index }) => index),
  );
  return rows.map((row) => toDialogue(jobId, row, turns.get(row.index) ?? []));
}

export async function findDialogue(database: Queryable, jobId: string, index: number): Promise<StoredDialogue | null> {
  const [row] = await database.query<DialogueRow>(
    `SELECT ${columns} FROM selfplay_dialogues WHERE job_id = $1 AND index = $2`,
    [jobId, index],
  );
  if (row === undefined) return null;
  return toDialogue(jobId, row, (await turnsOf(database, jobId, [index])).get(index) ?? []);
}

/** Adds to what was measured of a finished dialogue; a field that is there already is replaced, the others stay. */
export async function storeQuality(database: Queryable, jobId: string, index: number, quality: Json): Promise<void> {
  await database.query(
    "UPDATE selfplay_dialogues SET quality = coalesce(quality, '{}') || $3::jsonb WHERE job_id = $1 AND index = $2",
    [jobId, index, toJsonText(quality)],
  );
}

async function turnsOf(
  database: Queryable,
  jobId: string,
  indices: readonly number[],
): Promise<ReadonlyMap<number, readonly StoredTurn[]>> {
  const byDialogue = new Map<number, StoredTurn[]>();
  if (indices.length === 0) return byDialogue;
  const rows = await database.query<TurnRow & { dialogue_index: number }>(
    `SELECT dialogue_index, ${turnColumns} FROM selfplay_turns
      WHERE job_id = $1 AND dialogue_index = ANY($2::integer[]) ORDER BY dialogue_index, ordinal`,
    [jobId, indices],
  );
  for (const row of rows) {
    const turns = byDialogue.get(row.dialogue_index) ?? [];
    byDialogue.set(row.dialogue_index, [...turns, toTurn(row)]);
  }
  return byDialogue;
}

const columns = `index, status, stop_reason, stopped_by, record, seed_item, quality, error, attempts,
  (extract(epoch FROM started_at) * 1000)::float8 AS started_ms, (extract(epoch FROM ended_at) * 1000)::float8 AS ended_ms`;

/** Of the table of turns; `toTurn` reads them. */
export const turnColumns = `ordinal, role, turn, content, is_kept, rejection, cause, seed, token_ids, prompt_tokens, cached_tokens,
  completion_tokens, choice, first_token_ms, duration_ms`;

interface DialogueRow {
  readonly index: number;
  readonly status: DialogueStatus;
  readonly stop_reason: StopReason | null;
  readonly stopped_by: ModelRole | null;
  readonly record: Json | null;
  readonly seed_item: Json | null;
  readonly quality: Json | null;
  readonly error: string | null;
  readonly attempts: number;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
}

export interface TurnRow {
  readonly ordinal: number;
  readonly role: ModelRole;
  readonly turn: number;
  readonly content: string;
  readonly is_kept: boolean;
  readonly rejection: string | null;
  /** null, as are the fields after it, for a turn of the seed. */
  readonly cause: StopCause | null;
  readonly seed: number | null;
  readonly token_ids: readonly number[] | null;
  readonly prompt_tokens: number | null;
  readonly cached_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly choice: Choice | null;
  readonly first_token_ms: number | null;
  readonly duration_ms: number | null;
}

function toDialogue(jobId: string, row: DialogueRow, turns: readonly StoredTurn[]): StoredDialogue {
  const { index, status, record, quality, error, attempts } = row;
  return {
    jobId,
    index,
    status,
    record,
    quality,
    error,
    attempts,
    turns,
    stopReason: row.stop_reason,
    stoppedBy: row.stopped_by,
    seedItem: row.seed_item,
    startedAtMs: row.started_ms,
    endedAtMs: row.ended_ms,
  };
}

export function toTurn(row: TurnRow): StoredTurn {
  const { ordinal, role, turn, content, rejection, cause, choice } = row;
  const usage = {
    promptTokens: row.prompt_tokens ?? 0,
    cachedTokens: row.cached_tokens ?? 0,
    completionTokens: row.completion_tokens ?? 0,
  };
  const origin =
    cause === null
      ? null
      : { cause, seed: row.seed ?? 0, usage, tokenIds: row.token_ids ?? [], ...(choice === null ? {} : { choice }) };
  return {
    ordinal,
    role,
    turn,
    content,
    origin,
    isKept: row.is_kept,
    ...(rejection === null ? {} : { rejection }),
    firstTokenMs: row.first_token_ms,
    durationMs: row.duration_ms,
  };
}
