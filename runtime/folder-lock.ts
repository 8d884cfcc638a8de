// Owns that a folder has one process at a time: a lock that the operating system drops with its process, however that ends.
// SQLite's own file lock does it on every system, so there is nothing stale to clean up after a crash. It stores nothing.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 100;

/** Takes the folder, which must exist, until the returned function is called; null when another process, or this one, has it. */
export function lockFolder(folder: string): (() => void) | null {
  const lock = new DatabaseSync(join(folder, "lock"), { timeout: 0 });
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return () => lock.close();
  } catch (error) {
    lock.close();
    if (error instanceof Error && error.message.includes("locked")) return null;
    throw error;
  }
}

/** The same, once whoever has the folder has let go of it. Rejects when the signal comes first. */
export async function waitForFolder(folder: string, signal: AbortSignal): Promise<() => void> {
  for (;;) {
    const unlock = lockFolder(folder);
    if (unlock !== null) return unlock;
    await sleep(pollMs, null, { signal });
  }
}
