// Owns the files of this gateway: a row in the store and bytes in the data folder for each, and what is left of neither cleaned up.
// It knows no HTTP beyond uploads and the errors that a client is told.
import type { Context } from "hono";
import type { AppEnv } from "../app-env.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { ApiError, excerpt } from "../openai/error.ts";
import { randomLetters } from "../openai/ids.ts";
import type { Database } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import { FileFolder } from "./file-folder.ts";
import type { FilePurpose, StoredFile } from "./file-records.ts";
import { deleteExpired, deleteFile, type FilePage, findFile, insertFile, knownFiles, listFiles } from "./file-store.ts";
import { receiveUpload, type Upload } from "./upload.ts";

export interface FileServiceOptions {
  readonly config: Pick<Config, "dataFolder" | "maxFileBytes">;
  readonly log: Log;
  readonly store: Store;
}

const sweepMs = 3_600_000;
/** Bytes without a row are younger than this while they are being uploaded, perhaps by another gateway on the same folder. */
const orphanMs = 86_400_000;

export class FileService {
  readonly folder: FileFolder;
  readonly #options: FileServiceOptions;
  #sweeping: NodeJS.Timeout | null = null;
  #sweep: Promise<void> = Promise.resolve();

  /** Opens nothing yet. */
  constructor(options: FileServiceOptions) {
    this.#options = options;
    this.folder = new FileFolder(options.config.dataFolder);
  }

  /** Cleans up now, if there is a store, and every hour. */
  async start(): Promise<void> {
    this.#sweeping = setInterval(() => this.#sweepSoon(), sweepMs).unref();
    if (await this.#options.store.exists()) this.#sweepSoon();
  }

  /** Cleans up no more. */
  async close(): Promise<void> {
    if (this.#sweeping !== null) clearInterval(this.#sweeping);
    await this.#sweep;
  }

  /** Takes the file of a request. Throws ApiError, and keeps nothing then. */
  async upload(c: Context<AppEnv>): Promise<StoredFile> {
    const { config } = this.#options;
    // Asked first: a store that cannot be opened should not cost an upload.
    const database = await this.#database();
    const { file, received } = await receiveUpload(c, this.folder, newFileId(), config.maxFileBytes);
    try {
      await received.keep();
      return await insertFile(database, file);
    } catch (error) {
      await received.discard();
      throw error;
    }
  }

  /** Keeps the bytes of a file that the gateway itself made. Whoever asks writes its row, together with what the file is for. */
  async prepare(purpose: FilePurpose, filename: string, pieces: AsyncIterable<Uint8Array>): Promise<Upload> {
    const id = newFileId();
    const received = await this.folder.receive(id, pieces);
    await received.keep();
    return { file: { id, purpose, filename, bytes: received.bytes, expiresAfterS: null }, received };
  }

  /** Throws ApiError 404. */
  async retrieve(id: string): Promise<StoredFile> {
    const database = await this.#database();
    // Other characters are in no id, and not all of them can be asked for.
    const file = /^[\w-]+$/.test(id) ? await findFile(database, id) : null;
    if (file !== null) return file;
    throw new ApiError(404, `No such File object: ${excerpt(id)}`, { param: "id" });
  }

  async list(page: FilePage): Promise<readonly StoredFile[]> {
    if (page.after !== null) await this.retrieve(page.after);
    return listFiles(await this.#database(), page);
  }

  /** The bytes of a file. Throws ApiError 404, and 503 where another gateway has them. */
  async content(id: string): Promise<ReadableStream<Uint8Array>> {
    await this.retrieve(id);
    if (await this.folder.has(id)) return this.folder.read(id);
    const message =
      `The content of '${excerpt(id)}' is not in this gateway's data folder. ` +
      "Gateways that share a database must share the folder 'files' of their data folders, too.";
    const headers = { "x-should-retry": "false" };
    throw new ApiError(503, message, { type: "server_error", code: "file_unavailable", headers });
  }

  /** Throws ApiError 404, and 409 while a job needs it. */
  async delete(id: string): Promise<void> {
    await this.retrieve(id);
    const user = await deleteFile(await this.#database(), id);
    if (user === null) return this.folder.remove(id);
    const what = user.startsWith("loop_") ? "loop" : "fine-tuning job";
    const message = `The file '${id}' is in use by the ${what} '${user}': cancel it before the file is deleted.`;
    throw new ApiError(409, message, { param: "id", code: "file_in_use" });
  }

  #database(): Promise<Database> {
    const { store } = this.#options;
    return store.forClient(store.open());
  }

  #sweepSoon(): void {
    this.#sweep = this.#sweep
      .then(() => this.#sweepNow())
      .catch((error: unknown) => this.#options.log.warn("files could not be cleaned up", { error }));
  }

  async #sweepNow(): Promise<void> {
    if (!(await this.#options.store.exists())) return;
    const database = await this.#options.store.open();
    for (const id of await deleteExpired(database)) await this.folder.remove(id);
    const old = await this.folder.olderThan(orphanMs);
    const known = await knownFiles(database, old);
    for (const id of old) if (!known.has(id)) await this.folder.remove(id);
  }
}

const newFileId = () => `file-${randomLetters()}`;
