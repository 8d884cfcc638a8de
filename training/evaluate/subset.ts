// Owns nested subsets of a data set in JSON Lines: every smaller one is part of every larger one, so that a scaling curve shows
// the size and not the luck of the draw. Lines are copied as they are; it does not know what they say.
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { placeOf } from "./sample.ts";

export interface SubsetFile {
  readonly size: number;
  readonly path: string;
}

/** Writes a file for each size, lines in the order of the source. Throws an Error for a size that the source does not have. */
export async function writeSubsets(
  source: string,
  sizes: readonly number[],
  seed: number,
  folder: string,
  signal: AbortSignal,
): Promise<readonly SubsetFile[]> {
  const places: number[] = [];
  for await (const line of linesOf(source)) {
    signal.throwIfAborted();
    places.push(placeOf(line, seed));
  }
  const tooLarge = sizes.find((size) => size > places.length);
  if (tooLarge !== undefined)
    throw new Error(`${source} has ${places.length} rows; there is no subset of ${tooLarge}.`);
  const order = places.map((_, row) => row).toSorted((a, b) => places[a]! - places[b]! || a - b);
  const rankOf = new Uint32Array(places.length);
  for (const [rank, row] of order.entries()) rankOf[row] = rank;
  await mkdir(folder, { recursive: true });
  const stem = basename(source).replace(/\.(jsonl|ndjson|json)?(\.gz)?$/, "");
  const written: SubsetFile[] = [];
  for (const size of sizes) {
    const path = join(folder, `${stem}-${size}.jsonl`);
    await pipeline(Readable.from(chosen(source, rankOf, size)), createWriteStream(`${path}.partial`), { signal });
    await rename(`${path}.partial`, path);
    written.push({ size, path });
  }
  return written;
}

async function* chosen(source: string, rankOf: Uint32Array, size: number): AsyncGenerator<string> {
  let row = 0;
  for await (const line of linesOf(source)) {
    if (rankOf[row]! < size) yield `${line}\n`;
    row += 1;
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const input = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  file.on("error", (error) => input.destroy(error));
  for await (const line of createInterface({ input, crlfDelay: Infinity })) if (line.trim() !== "") yield line;
}
