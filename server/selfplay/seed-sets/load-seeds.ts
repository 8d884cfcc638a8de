// Owns the way from the `seeds` of a request to the items that start dialogues: the text or a file, checks, the sample.
// Of files it opens only those inside the configured folder, whatever the request calls them.
import { readFile, realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { ApiError, excerpt } from "../../openai/error.ts";
import { readSeedSet } from "./read-seed-set.ts";
import { sampleSeeds } from "./sample.ts";
import type { SeedSet } from "./seed-set.ts";
import type { SeedsBody } from "./seeds-schema.ts";

/** What a seed set gave, and what it did not: kept with a job. */
export interface LoadedSeeds extends SeedSet {
  /** Items in the file; `items` may be a sample of them. */
  readonly available: number;
}

/** Plain or unpacked. */
const mostBytes = 1 << 30;

/** Of several broken rows, this many are named in an error. */
const namedRows = 5;

/**
 * Reads, checks and samples. Throws ApiError 400 that names field and row; broken rows are only left out when the request
 * asks for it.
 */
export async function loadSeeds(body: SeedsBody, seedFolder: string | null, seed: number): Promise<LoadedSeeds> {
  const { format, path, sample, skip_broken: skipsBroken } = body;
  const field = typeof path === "string" ? "seeds.path" : "seeds.text";
  const text = typeof path === "string" ? await readInside(path, seedFolder) : (body.text ?? "");
  const set = readSeedSet(text, format);
  if (set.brokenCount > 0 && skipsBroken !== true) {
    const rows = set.broken.slice(0, namedRows).map(({ row, reason }) => `row ${row}: ${reason}`);
    const more = set.brokenCount > rows.length ? ` And ${set.brokenCount - rows.length} more.` : "";
    throw fault(field, `${rows.join(" ")}${more} Good rows are kept with 'skip_broken'.`, "broken_rows");
  }
  if (set.items.length === 0) {
    const dropped = Object.entries(set.dropped).map(([reason, count]) => `${count} ${reason}`);
    const why = [...dropped, ...(set.brokenCount > 0 ? [`${set.brokenCount} broken`] : [])].join(", ");
    throw fault(field, `no row can start a dialogue (${set.rows} read${why === "" ? "" : `; left out: ${why}`}).`);
  }
  const items = typeof sample === "number" ? sampleSeeds(set.items, sample, seed) : set.items;
  return { ...set, items, available: set.items.length };
}

/** The text of a file of the folder; names that lead out of it, by dots, links or otherwise, are as good as missing. */
async function readInside(path: string, seedFolder: string | null): Promise<string> {
  if (seedFolder === null) {
    throw fault(
      "seeds.path",
      "this server has no seed folder; send the rows in 'seeds.text', or start it with --seed-folder.",
    );
  }
  const missing = () =>
    fault("seeds.path", `there is no file '${excerpt(path)}' in the seed folder.`, "file_not_found");
  if (isAbsolute(path) || path.includes("\0")) throw missing();
  let file: string;
  try {
    const folder = await realpath(seedFolder);
    file = await realpath(resolve(folder, path));
    const inside = relative(folder, file);
    if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside)) throw missing();
  } catch {
    throw missing();
  }
  // Looked at before it is opened: opening a pipe would wait for whoever writes into it.
  const { size, isFile } = await look(file);
  if (!isFile) throw missing();
  if (size > mostBytes) throw tooLarge(path);
  return decode(await unpacked(await readFile(file), path), path);
}

async function look(file: string): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const found = await stat(file);
  return { size: found.size, isFile: found.isFile() };
}

async function unpacked(bytes: Buffer, path: string): Promise<Buffer> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: mostBytes });
  } catch (error) {
    const isTooLarge = error instanceof RangeError;
    if (isTooLarge) throw tooLarge(path);
    throw fault("seeds.path", `'${excerpt(path)}' cannot be unpacked: it is a broken gzip file.`);
  }
}

function decode(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fault("seeds.path", `'${excerpt(path)}' is not UTF-8 text.`);
  }
}

const tooLarge = (path: string) => fault("seeds.path", `'${excerpt(path)}' is larger than ${mostBytes} bytes.`);

function fault(param: string, reason: string, code = "invalid_value"): ApiError {
  return new ApiError(400, `Invalid '${param}': ${reason}`, { param, code });
}
