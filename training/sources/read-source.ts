// Owns the way from a name on the command line (file, folder, self-play job) to rows: bytes, parsing, ids and places.
// Memory is bounded by the longest row, however large the source. What a row means is formats.ts's.
import { basename } from "node:path";
import type { Origin } from "../conversation.ts";
import { type Fields, idOf, toFields } from "./fields.ts";
import { detectFormat, type Format, rowReaders } from "./formats.ts";
import { openFile, filesOf } from "./open-file.ts";
import { jobBytes, jobIdOf, type JobStore } from "./open-job.ts";
import { readRawRows, type RawRow } from "./raw-rows.ts";
import type { RowResult } from "./row-reader.ts";
import { RowError, SourceError } from "./source-error.ts";
import type { SourceRow } from "./source-row.ts";

export interface SourceOptions {
  /** null: every row tells by its fields. */
  readonly format: Format | null;
  /** Where self-play jobs are kept. */
  readonly store: JobStore;
}

/** Reads a file, every data file of a folder, or `job:spj_…`. Throws SourceError for what cannot be read at all. */
export async function* readSource(
  source: string,
  options: SourceOptions,
  signal: AbortSignal,
): AsyncGenerator<SourceRow, void, undefined> {
  const job = jobIdOf(source);
  if (job !== null) {
    const rows = readRawRows(jobBytes(job, options.store, signal));
    yield* readRows(rows, job, "selfplay", signal);
    return;
  }
  for (const file of await filesOf(source)) {
    yield* readRows(readRawRows(openFile(file)), file, options.format, signal);
  }
}

interface ParsedRow {
  readonly fields: Fields;
  readonly format: Format;
}

/** Reads rows that are cut out already; `file` names them. */
async function* readRows(
  rows: AsyncIterable<RawRow>,
  file: string,
  format: Format | null,
  signal: AbortSignal,
): AsyncGenerator<SourceRow, void, undefined> {
  let tree: { readonly id: string; readonly row: number; readonly messages: Fields[] } | null = null;
  for await (const raw of rows) {
    if (signal.aborted) throw new SourceError(`Reading ${file} was cancelled.`);
    const origin = { file, row: raw.row };
    const parsed = attempt(() => parse(raw, format));
    if (typeof parsed === "string") {
      yield { kind: "broken", origin, reason: parsed };
      continue;
    }
    // Messages of a tree stand together, as their exports write them.
    const treeId = parsed.format === "oasst-messages" ? idOrEmpty(parsed.fields["message_tree_id"]) : null;
    if (tree !== null && tree.id !== treeId) {
      yield* toRows("oasst-messages", tree.messages, { file, row: tree.row });
      tree = null;
    }
    if (treeId === null) yield* toRows(parsed.format, parsed.fields, origin);
    else if (tree === null) tree = { id: treeId, row: raw.row, messages: [parsed.fields] };
    else tree.messages.push(parsed.fields);
  }
  if (tree !== null) yield* toRows("oasst-messages", tree.messages, { file, row: tree.row });
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws RowError. */
function parse(raw: RawRow, given: Format | null): ParsedRow {
  if ("broken" in raw) throw new RowError(raw.broken);
  const fields = toFields(json(raw.bytes));
  const format = given ?? detectFormat(fields);
  if (format !== null) return { fields, format };
  const names = Object.keys(fields).slice(0, 8).join(", ");
  throw new RowError(`is of no known format; its fields are ${names === "" ? "none" : names}.`);
}

function json(bytes: Buffer): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new RowError("is not UTF-8.");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new RowError("is not JSON.");
  }
}

function toRows(format: Format, row: unknown, origin: Origin): readonly SourceRow[] {
  const results = attempt(() => rowReaders[format](row));
  if (typeof results === "string") return [{ kind: "broken", origin, reason: results }];
  return results.map((result) => toSourceRow(result, format, row, origin));
}

function toSourceRow(result: RowResult, format: Format, row: unknown, origin: Origin): SourceRow {
  if (result.type === "dropped") return { kind: "dropped", origin, rule: result.rule };
  const { conversation } = result;
  const name = basename(origin.file).replace(/\.(json|jsonl|ndjson)?(\.gz)?$/i, "");
  const id = conversation.id ?? `${name}-${origin.row}`;
  // The rows of a job are its dialogues, whatever line they come on.
  const index = format === "selfplay" ? Number(idOf(row as Fields, "index") ?? Number.NaN) : Number.NaN;
  return {
    kind: "conversation",
    conversation: {
      ...conversation,
      id,
      group: conversation.group ?? id,
      origin: Number.isSafeInteger(index) ? { ...origin, row: index + 1 } : origin,
      provenance: { format, ...conversation.provenance },
    },
  };
}

const idOrEmpty = (id: unknown) => (typeof id === "string" ? id : "");

/** The value, or why there is none. */
function attempt<T extends object>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof RowError) return error.message;
    throw error;
  }
}
