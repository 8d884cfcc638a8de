// Owns the bytes of files: one file of the data folder for each, named by an id that the gateway made. It is there whole or not at all.
// It knows no rows, and no name that a client gave.
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** What was written and does not have its name yet. */
export interface ReceivedFile {
  readonly bytes: number;
  /** Gives it its name. */
  keep(): Promise<void>;
  /** Removes it, whether or not it was kept. */
  discard(): Promise<void>;
}

const partialSuffix = ".partial";

export class FileFolder {
  readonly #folder: string;

  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, "files");
  }

  /** Where the bytes of a stored file are. */
  /** Where all of them lie. */
  get root(): string {
    return this.#folder;
  }

  path(id: string): string {
    return join(this.#folder, id);
  }

  /** Writes the pieces to the disk as they come. What they throw is thrown, and nothing is left then. */
  async receive(id: string, pieces: AsyncIterable<Uint8Array>): Promise<ReceivedFile> {
    await mkdir(this.#folder, { recursive: true });
    const partial = `${this.path(id)}${partialSuffix}`;
    const discard = async () => {
      await Promise.all([partial, this.path(id)].map((path) => rm(path, { force: true })));
    };
    let bytes = 0;
    try {
      const file = await open(partial, "wx", 0o600);
      try {
        for await (const piece of pieces) {
          await file.writeFile(piece);
          bytes += piece.byteLength;
        }
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await discard();
      throw error;
    }
    return { bytes, keep: () => this.#keep(partial, id), discard };
  }

  async #keep(partial: string, id: string): Promise<void> {
    await rename(partial, this.path(id));
    // The name itself is on the disk only with its folder.
    const folder = await open(this.#folder);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async has(id: string): Promise<boolean> {
    return (await stat(this.path(id)).catch(() => null)) !== null;
  }

  /** The bytes; nothing is opened before the first is asked for. */
  read(id: string): ReadableStream<Uint8Array> {
    const path = this.path(id);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for await (const piece of createReadStream(path, { highWaterMark: 256 * 1024 })) yield piece as Buffer;
    }
    return ReadableStream.from(pieces());
  }

  async remove(id: string): Promise<void> {
    await rm(this.path(id), { force: true });
  }

  /** Ids of files older than this, those that were never finished among them. */
  async olderThan(ageMs: number): Promise<readonly string[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const old: string[] = [];
    for (const name of names) {
      const found = await stat(join(this.#folder, name)).catch(() => null);
      if (found?.isFile() === true && Date.now() - found.mtimeMs > ageMs) old.push(name);
    }
    return old;
  }
}
