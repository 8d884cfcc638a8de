// Owns JSON Lines as the evaluation keeps them: reading whole files, gzip or not, and appending rows that survive a crash.
// It does not know what a row means: a schema says so, and complaints name file and line.
import { mkdir, open, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { gunzipSync } from "node:zlib";
import type { z } from "zod";

/** All rows of a file; `.gz` is unpacked. Throws an Error naming file, line and field. */
export async function readRows<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const bytes = await readFile(path).catch(() => {
    throw new Error(`${path} cannot be read.`);
  });
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return parseRows(path, text, schema);
}

/** As `readRows`, from a text. `name` stands in complaints. */
export function parseRows<T>(name: string, text: string, schema: z.ZodType<T>): T[] {
  const rows: T[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const row = schema.safeParse(parseJson(line));
    if (row.success) {
      rows.push(row.data);
      continue;
    }
    const [issue] = row.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? "" : `field ${issue.path.join(".")}: `;
    throw new Error(`${name}, line ${index + 1}: ${field}${issue?.message ?? "unreadable"}.`);
  }
  return rows;
}

/** A file that rows are added to, one at a time. */
export interface RowLog<T> {
  /** What was in the file when it was opened. */
  readonly before: readonly T[];
  /** Resolves when the row is on the disk. Rows of concurrent calls do not mix. */
  append(row: T): Promise<void>;
  /** Resolves when all rows are written and the file is closed. */
  close(): Promise<void>;
}

/**
 * Opens a file to add to, making it and its folders where missing. A last line without its line end was being written when
 * a run was killed: it is cut off. Throws an Error naming file and line for any other line that cannot be read.
 */
export async function openRowLog<T>(path: string, schema: z.ZodType<T>): Promise<RowLog<T>> {
  await mkdir(dirname(path), { recursive: true });
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  const end = bytes.lastIndexOf("\n") + 1;
  const rows = parseRows(path, bytes.subarray(0, end).toString("utf8"), schema);
  if (end < bytes.length) await truncate(path, end);
  const file = await open(path, "a");
  let tail: Promise<void> = Promise.resolve();
  const write = async (before: Promise<void>, line: string) => {
    await before;
    await file.appendFile(line);
    await file.datasync();
  };
  return {
    before: rows,
    append(row) {
      const written = write(tail, `${JSON.stringify(row)}\n`);
      tail = written.catch(() => {});
      return written;
    },
    async close() {
      await tail;
      await file.close();
    },
  };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
