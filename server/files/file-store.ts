// Owns the rows of files: written, listed, removed. A file that has expired is not there any more, whether or not it was removed yet.
// It knows no bytes; file-folder.ts has them.
import type { Database, Queryable } from "../store/database.ts";
import { toText } from "../store/values.ts";
import type { FilePurpose, NewFile, StoredFile } from "./file-records.ts";

export interface FilePage {
  readonly limit: number;
  /** Id of the file behind which the page begins. */
  readonly after: string | null;
  readonly purpose: string | null;
  readonly order: "asc" | "desc";
}

export async function insertFile(database: Queryable, file: NewFile): Promise<StoredFile> {
  const [row] = await database.query<FileRow>(
    `INSERT INTO files (id, purpose, filename, bytes, expires_at)
      VALUES ($1, $2, $3, $4, now() + $5::float8 * interval '1 second') RETURNING ${columns}`,
    [file.id, file.purpose, toText(file.filename), file.bytes, file.expiresAfterS],
  );
  if (row === undefined) throw new Error(`File '${file.id}' was not written.`);
  return toFile(row);
}

export async function findFile(database: Queryable, id: string): Promise<StoredFile | null> {
  const [row] = await database.query<FileRow>(`SELECT ${columns} FROM files WHERE id = $1 AND ${isCurrent}`, [id]);
  return row === undefined ? null : toFile(row);
}

/** By age, those behind file `after`. */
export async function listFiles(
  database: Queryable,
  { limit, after, purpose, order }: FilePage,
): Promise<readonly StoredFile[]> {
  const isBehind = order === "desc" ? "<" : ">";
  const rows = await database.query<FileRow>(
    `SELECT ${columns} FROM files
      WHERE ${isCurrent} AND ($3::text IS NULL OR purpose = $3::text)
        AND ($2::text IS NULL OR (created_at, id) ${isBehind} (SELECT created_at, id FROM files WHERE id = $2::text))
      ORDER BY created_at ${order}, id ${order} LIMIT $1`,
    [limit, after, purpose],
  );
  return rows.map(toFile);
}

/** Removes a row, or returns the id of a fine-tuning job or loop that still needs the file. */
export async function deleteFile(database: Database, id: string): Promise<string | null> {
  return database.transaction(async (transaction) => {
    // A job that is being created holds its files meanwhile: it is seen by the next statement.
    await transaction.query("SELECT FROM files WHERE id = $1 FOR UPDATE", [id]);
    const [user] = await transaction.query<{ id: string }>(
      `SELECT id FROM fine_tuning_jobs WHERE (training_file = $1 OR validation_file = $1) AND ${isOpen} LIMIT 1`,
      [id],
    );
    const [loop] = await transaction.query<{ id: string }>(
      `SELECT id FROM loops WHERE heldout_files ? $1 AND ${isOpenLoop} LIMIT 1`,
      [id],
    );
    const needs = user ?? loop;
    if (needs !== undefined) return needs.id;
    await transaction.query("DELETE FROM files WHERE id = $1", [id]);
    return null;
  });
}

/** Removes the rows of files that have expired and that no job needs any more, and returns their ids. */
export async function deleteExpired(database: Queryable): Promise<readonly string[]> {
  const rows = await database.query<{ id: string }>(
    `DELETE FROM files WHERE NOT ${isCurrent} AND NOT EXISTS (
        SELECT FROM fine_tuning_jobs WHERE (training_file = files.id OR validation_file = files.id) AND ${isOpen})
        AND NOT EXISTS (SELECT FROM loops WHERE heldout_files ? files.id AND ${isOpenLoop})
      RETURNING id`,
  );
  return rows.map(({ id }) => id);
}

/** Which of these ids have a row. */
export async function knownFiles(database: Queryable, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ id: string }>("SELECT id FROM files WHERE id = ANY($1::text[])", [ids]);
  return new Set(rows.map(({ id }) => id));
}

/** Of a fine-tuning job. */
const isOpen = "status NOT IN ('succeeded', 'failed', 'cancelled')";
const isOpenLoop = "status IN ('queued', 'running', 'paused')";

const isCurrent = "(expires_at IS NULL OR expires_at > now())";

const columns = `id, purpose, filename, bytes, (extract(epoch FROM created_at) * 1000)::float8 AS created_ms,
  (extract(epoch FROM expires_at) * 1000)::float8 AS expires_ms`;

interface FileRow {
  readonly id: string;
  readonly purpose: FilePurpose;
  readonly filename: string;
  readonly bytes: number;
  readonly created_ms: number;
  readonly expires_ms: number | null;
}

function toFile({
  id,
  purpose,
  filename,
  bytes,
  created_ms: createdAtMs,
  expires_ms: expiresAtMs,
}: FileRow): StoredFile {
  return { id, purpose, filename, bytes, createdAtMs, expiresAtMs };
}
