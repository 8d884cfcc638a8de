// Owns that a data folder has one user at a time: a lock that the operating system drops with its process, however that ends.
// SQLite's own file lock does it on every system, so there is nothing stale to clean up after a crash. It stores nothing.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FolderInUseError } from "./database.ts";

export interface FolderLock {
  release(): void;
}

/** Takes the folder, which must exist. Throws FolderInUseError when another process, or this one, has it already. */
export function lockFolder(folder: string): FolderLock {
  const lock = new DatabaseSync(join(folder, "lock"));
  try {
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    throw new FolderInUseError(
      `The data folder ${folder} is in use by another process: stop that one, or choose another folder with --data.`,
      { cause: error },
    );
  }
  return { release: () => lock.close() };
}
