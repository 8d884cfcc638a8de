// Owns a data set as an answer: type, file name, packing, and that no more is read than the client takes.
// It does not know what is in the bytes; export.ts does.
import type { Database } from "../../store/database.ts";
import type { DialogueFilter } from "../store/dialogue-store.ts";
import type { StoredJob } from "../store/records.ts";
import { jsonLines, parquet } from "./export.ts";
import { invalid } from "../request.ts";
import type { LineFormat } from "./job-wire.ts";

interface ExportOptions {
  readonly filter: DialogueFilter;
  readonly format: LineFormat;
  readonly kind: "jsonl" | "parquet";
  /** Whether the client takes gzip; Parquet is packed in itself. */
  readonly isPacked: boolean;
}

/** Finished dialogues, unless the filter asks for others. Throws ApiError for records as Parquet. */
export function exportResponse(
  database: Database,
  job: StoredJob,
  { filter, format, kind, isPacked }: ExportOptions,
): Response {
  const chosen = filter.statuses.length > 0 ? filter : { ...filter, statuses: ["completed"] as const };
  const bytes = ReadableStream.from(bytesOf()) as ReadableStream<Uint8Array<ArrayBuffer>>;
  const isZipped = isPacked && kind === "jsonl";
  const headers = {
    "content-type": kind === "jsonl" ? "application/jsonl" : "application/vnd.apache.parquet",
    "content-disposition": `attachment; filename="${job.id}.${kind}"`,
    vary: "accept, accept-encoding",
    ...(isZipped ? { "content-encoding": "gzip" } : {}),
  };
  return new Response(isZipped ? bytes.pipeThrough(new CompressionStream("gzip")) : bytes, { headers });

  function bytesOf(): AsyncGenerator<Uint8Array> {
    if (kind === "jsonl") return jsonLines(database, job, chosen, format);
    if (format !== "record") return parquet(database, job, chosen, format);
    throw invalid("format", "a Parquet file has a row of messages for each dialogue; records come as `jsonl` alone.");
  }
}
