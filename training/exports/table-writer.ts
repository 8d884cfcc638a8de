// Owns writing rows to one data file, in bounded memory: JSON Lines, one JSON array, or Parquet.
// It knows kinds of files and types of columns, not what rows mean.
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { finished } from "node:stream/promises";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { Column, JsonRow, Table } from "./format.ts";

export interface TableWriter {
  write(rows: readonly JsonRow[]): Promise<void>;
  /** Resolves when everything is on its way to the disk and the file is closed. */
  close(): Promise<void>;
  /** Closes the file as it is. */
  abandon(): void;
}

/** Opens a data file; folders on the way are made. */
export async function openTable({ kind, columns = [] }: Table, path: string): Promise<TableWriter> {
  await mkdir(dirname(path), { recursive: true });
  const stream = createWriteStream(path);
  // Also raised by the next write or by the end.
  stream.on("error", () => {});
  await once(stream, "open");
  if (kind === "parquet") return parquetWriter(stream, columns);
  return jsonWriter(stream, kind === "json");
}

async function send(stream: WriteStream, bytes: string | Uint8Array): Promise<void> {
  if (stream.errored !== null) throw stream.errored;
  if (!stream.write(bytes)) await once(stream, "drain");
}

async function end(stream: WriteStream): Promise<void> {
  stream.end();
  await finished(stream);
}

function jsonWriter(stream: WriteStream, isArray: boolean): TableWriter {
  let before = isArray ? "[\n" : "";
  const between = isArray ? ",\n" : "\n";
  let count = 0;
  return {
    async write(rows) {
      if (rows.length === 0) return;
      const text = rows.map((row) => JSON.stringify(row)).join(between);
      await send(stream, before + text + (isArray ? "" : "\n"));
      count += rows.length;
      if (isArray) before = between;
    },
    async close() {
      if (isArray) await send(stream, count === 0 ? "[]\n" : "\n]\n");
      await end(stream);
    },
    abandon: () => stream.destroy(),
  };
}

/** A row group is written when it holds about as much. */
const groupBytes = 16 * 2 ** 20;
const groupRows = 10_000;

/** Parquet keeps its places in the file by counting from the beginning, so bytes can go as they come. */
class ChunkWriter extends ByteWriter {
  take(): Uint8Array {
    const bytes = this.getBytes().slice();
    this.index = 0;
    return bytes;
  }
}

function parquetWriter(stream: WriteStream, columns: readonly Column[]): TableWriter {
  const chunks = new ChunkWriter();
  const writer = new ParquetWriter({ writer: chunks, schema: schemaOf(columns), createdBy: "realchat" });
  let group: JsonRow[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (group.length > 0) {
      const columnData = columns.map((column) => ({
        name: column.name,
        data: group.map((row) => row[column.name]),
        // Lists have no dictionary worth looking for, nor bounds worth keeping.
        ...(column.type === "text" || column.type === "int32" ? {} : { statistics: false }),
      }));
      await writer.write({ columnData, rowGroupSize: group.length });
    }
    group = [];
    bytes = 0;
    await send(stream, chunks.take());
  };
  return {
    async write(rows) {
      for (const row of rows) {
        group.push(row);
        bytes += sizeOf(row, columns);
        if (bytes >= groupBytes || group.length >= groupRows) await flush();
      }
    },
    async close() {
      await flush();
      await writer.finish();
      await send(stream, chunks.take());
      await end(stream);
    },
    abandon: () => stream.destroy(),
  };
}

function sizeOf(row: JsonRow, columns: readonly Column[]): number {
  return columns.reduce((sum, { name, type }) => {
    const value = row[name];
    if (typeof value === "string") return sum + value.length;
    if (!Array.isArray(value)) return sum + 4;
    return sum + (type === "int32_list" ? value.length * 4 : JSON.stringify(value).length);
  }, 0);
}

type Schema = NonNullable<ConstructorParameters<typeof ParquetWriter>[0]["schema"]>;

function schemaOf(columns: readonly Column[]): Schema {
  const required = { repetition_type: "REQUIRED" } as const;
  const text = (name: string) => ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", ...required }) as const;
  const list = (name: string) =>
    [
      { name, converted_type: "LIST", num_children: 1, ...required },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
    ] as const;
  const fields = columns.flatMap((column): Schema => {
    const { name, type } = column;
    if (type === "turns") {
      const element = { name: "element", num_children: column.fields.length, ...required };
      return [...list(name), element, ...column.fields.map(text)];
    }
    if (type === "text") return [text(name)];
    if (type === "int32") return [{ name, type: "INT32", ...required }];
    return [...list(name), { name: "element", type: "INT32", ...required }];
  });
  return [{ name: "root", num_children: columns.length }, ...fields];
}
