// Owns the embedded database: PostgreSQL inside this process, its files in the data folder, which it locks.
// It knows no tables. One statement runs at a time; each is on disk when it resolves.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder } from "../../runtime/folder-lock.ts";
import type { Database, Queryable } from "./database.ts";
import { FolderInUseError, StoreError } from "./database.ts";

/** PostgreSQL's number for bigint. Counts and seeds are safe integers. */
const bigintType = 20;

/** Opens, or creates, the database of a data folder. Throws StoreError with one sentence. */
export async function openPglite(dataFolder: string): Promise<Database> {
  await mkdir(dataFolder, { recursive: true }).catch((error: unknown) => {
    throw new StoreError(`The data folder ${dataFolder} cannot be created: ${reasonOf(error)}.`, { cause: error });
  });
  const unlock = lockFolder(dataFolder);
  if (unlock === null) {
    throw new FolderInUseError(
      `The data folder ${dataFolder} is in use by another process: stop that one, or choose another folder with --data.`,
    );
  }
  try {
    // Only here: whoever uses a server of his own, or none, need not load it.
    const { PGlite } = await import("@electric-sql/pglite");
    const pglite = await PGlite.create({
      dataDir: databaseFolder(dataFolder),
      parsers: { [bigintType]: Number },
    });
    return {
      kind: "pglite",
      channel: null,
      ...over(pglite),
      transaction: (work) => pglite.transaction((transaction) => work(over(transaction))),
      async close() {
        await pglite.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw new StoreError(`The database in ${dataFolder} cannot be opened: ${reasonOf(error)}.`, { cause: error });
  }
}

function over(client: { query(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }> }): Queryable {
  return {
    query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await client.query(sql, [...parameters])).rows as readonly Row[],
  };
}

/** Where in a data folder the database lies; it exists once something was stored. */
export const databaseFolder = (dataFolder: string) => join(dataFolder, "postgres");

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
}
