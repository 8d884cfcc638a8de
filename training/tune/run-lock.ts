// Owns that a work folder has one process at a time: whoever comes while another still writes its checkpoint waits for it.
// The operating system drops the lock with its process, however that ends. It stores nothing.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 100;

/** Waits for the folder, which must exist, and takes it until the returned function is called. */
export async function lockRun(folder: string, signal: AbortSignal): Promise<() => void> {
  const lock = new DatabaseSync(join(folder, "lock"), { timeout: 0 });
  for (;;) {
    try {
      lock.exec("BEGIN EXCLUSIVE");
      return () => lock.close();
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("locked"))) throw error;
    }
    await sleep(pollMs, null, { signal });
  }
}
