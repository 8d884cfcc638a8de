// Owns that a work folder has one process at a time: whoever comes while another still writes its checkpoint waits for it.
import { setTimeout as sleep } from "node:timers/promises";
import { lockFolder } from "../../runtime/folder-lock.ts";

const pollMs = 100;

/** Waits for the folder, which must exist, and takes it until the returned function is called. */
export async function lockRun(folder: string, signal: AbortSignal): Promise<() => void> {
  for (;;) {
    const unlock = lockFolder(folder);
    if (unlock !== null) return unlock;
    await sleep(pollMs, null, { signal });
  }
}
