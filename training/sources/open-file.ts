// Owns the bytes of data files: which files a folder holds, and reading one, unpacked where it is gzip. It parses nothing.
import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { SourceError } from "./source-error.ts";

const dataFile = /\.(json|jsonl|ndjson)(\.gz)?$/i;
const chunkBytes = 256 * 1024;

/** The file itself, or every data file that lies directly in the folder, in the order of their names. */
export async function filesOf(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch((error: unknown) => fail(path, error));
  if (!found.isDirectory()) return [path];
  const names = await readdir(path).catch((error: unknown) => fail(path, error));
  const files = names.filter((name) => dataFile.test(name)).toSorted();
  if (files.length === 0) throw new SourceError(`${path} holds no .json, .jsonl or .ndjson file, packed or not.`);
  return files.map((name) => join(path, name));
}

/** The unpacked bytes of a file. Throws SourceError where they cannot be had. */
export async function* openFile(path: string): AsyncGenerator<Buffer, void, undefined> {
  const isPacked = await isGzip(path).catch((error: unknown) => fail(path, error));
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  const unpacked = isPacked ? file.pipe(createGunzip({ chunkSize: chunkBytes })) : file;
  if (unpacked !== file) file.on("error", (error) => unpacked.destroy(error));
  try {
    for await (const chunk of unpacked) yield chunk as Buffer;
  } catch (error) {
    fail(path, error);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

function fail(path: string, cause: unknown): never {
  if (cause instanceof SourceError) throw cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = code === "ENOENT" ? "there is no such file or folder" : message;
  throw new SourceError(`${path} cannot be read: ${reason}.`, { cause });
}
