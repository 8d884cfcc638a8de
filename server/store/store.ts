// Owns when the database is opened: by whoever needs it first, once for all of them, and anew after it could not be.
// One for each server. It knows no tables.
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { ApiError } from "../openai/error.ts";
import { type Database, StoreError } from "./database.ts";
import { hasDatabase, openDatabase } from "./open-database.ts";
import { Opening } from "./opening.ts";

export class Store {
  readonly #config: Pick<Config, "databaseUrl" | "dataFolder">;
  readonly #log: Log;
  readonly #opening: Opening<Database>;

  /** Opens nothing yet. */
  constructor(config: Pick<Config, "databaseUrl" | "dataFolder">, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#opening = new Opening(() => openDatabase(config, log));
  }

  /** Whether something may be stored already, so that work may be waiting. */
  exists(): Promise<boolean> {
    return hasDatabase(this.#config);
  }

  /** The database, opened now if it was not yet. Throws StoreError. */
  open(): Promise<Database> {
    return this.#opening.get();
  }

  /** What was opened, for a request: a StoreError becomes the ApiError that the client is told. */
  async forClient<T>(opening: Promise<T>): Promise<T> {
    try {
      return await opening;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#log.error("the store cannot be opened", { error });
      throw new ApiError(503, error.message, { type: "server_error", code: "store_unavailable" }, { cause: error });
    }
  }

  /** Closes it, if it is open; nothing may be asked any more. */
  async close(): Promise<void> {
    await (await this.#opening.current())?.close();
  }
}
