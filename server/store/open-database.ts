// Owns the choice of database: PostgreSQL where DATABASE_URL names one, else the embedded one in the data folder.
// Whichever it is, its tables are brought up to date before anyone gets it.
import { stat } from "node:fs/promises";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import type { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import { databaseFolder, openPglite } from "./pglite-database.ts";
import { openPostgres } from "./postgres-database.ts";

type StoreConfig = Pick<Config, "databaseUrl" | "dataFolder">;

/** Opens the configured database with all migrations applied. Throws StoreError with one sentence. */
export async function openDatabase({ databaseUrl, dataFolder }: StoreConfig, log: Log): Promise<Database> {
  const database =
    databaseUrl === null
      ? await openPglite(dataFolder)
      : await openPostgres(databaseUrl, (error) => log.warn("a database connection was lost", { error }));
  try {
    const applied = await migrate(database);
    log.info("store open", { kind: database.kind, ...(applied.length > 0 ? { applied } : {}) });
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Whether something may be stored already, so that work may be waiting. */
export async function hasDatabase({ databaseUrl, dataFolder }: StoreConfig): Promise<boolean> {
  return databaseUrl !== null || (await stat(databaseFolder(dataFolder)).catch(() => null)) !== null;
}
