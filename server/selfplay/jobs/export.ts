// Owns data sets on their way out: the finished dialogues of a job page by page, as lines of JSON or as a Parquet file.
// Only a page is in memory at a time; the Parquet writer holds one row group. It knows no HTTP.
import { ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import type { Database } from "../../store/database.ts";
import { type DialogueFilter, listDialogues } from "../store/dialogue-store.ts";
import type { StoredDialogue, StoredJob } from "../store/records.ts";
import { type DialogueFormat, type LineFormat, toLine, toRow } from "./job-wire.ts";
import { wholeRounds } from "./record.ts";
import { ChunkWriter } from "./parquet-chunks.ts";

const pageSize = 100;

/** Dialogues of a job that pass the filter and hold at least one round, in their order. */
async function* pages(
  database: Database,
  job: StoredJob,
  filter: DialogueFilter,
): AsyncGenerator<readonly StoredDialogue[]> {
  for (let after = -1; ;) {
    const page = await listDialogues(database, job.id, { ...filter, after, limit: pageSize });
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.index;
    const rows = page.filter((stored) => wholeRounds(stored).length > 0);
    if (rows.length > 0) yield rows;
  }
}

/** One line per dialogue. */
export async function* jsonLines(
  database: Database,
  job: StoredJob,
  filter: DialogueFilter,
  format: LineFormat,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const page of pages(database, job, filter)) {
    yield encoder.encode(page.map((stored) => `${JSON.stringify(toLine(job, stored, format))}\n`).join(""));
  }
}

/** A Parquet file with a row per dialogue; what is a list in JSON is a JSON column. */
export async function* parquet(
  database: Database,
  job: StoredJob,
  filter: DialogueFilter,
  format: DialogueFormat,
): AsyncGenerator<Uint8Array> {
  const chunks = new ChunkWriter();
  const writer = new ParquetWriter({
    writer: chunks,
    schema: schemaFromColumnData({ columnData: columnsOf(job, [], format) }),
    createdBy: "realchat-gateway",
  });
  for await (const page of pages(database, job, filter)) {
    await writer.write({ columnData: columnsOf(job, page, format), rowGroupSize: page.length });
    yield chunks.take();
  }
  await writer.finish();
  yield chunks.take();
}

function columnsOf(job: StoredJob, page: readonly StoredDialogue[], format: DialogueFormat) {
  const rows = page.map((stored) => toRow(job, stored, format));
  const key = format === "openai" ? "messages" : "conversations";
  const rounds = page.map((stored) => wholeRounds(stored).at(-1)?.turn ?? 0);
  return [
    { name: "id", data: rows.map(({ id }) => String(id)), type: "STRING" as const, nullable: false },
    { name: key, data: rows.map((row) => row[key]), type: "JSON" as const, nullable: false },
    { name: "num_of_rounds", data: rounds, type: "INT32" as const, nullable: false },
    {
      name: "stop_reason",
      data: page.map(({ stopReason }) => stopReason ?? ""),
      type: "STRING" as const,
      nullable: false,
    },
    { name: "seed", data: page.map(() => BigInt(job.seed)), type: "INT64" as const, nullable: false },
  ];
}
