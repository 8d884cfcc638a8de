// Owns that a run folder has one loop at a time. The operating system drops the lock with its process, however that ends.
// It stores nothing.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FlagError } from "../prepare/flags.ts";

/** Takes the folder, which must exist, until the returned function is called. Throws FlagError while another loop has it. */
export function lockRun(folder: string): () => void {
  const lock = new DatabaseSync(join(folder, ".lock"), { timeout: 0 });
  try {
    lock.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    if (!(cause instanceof Error && cause.message.includes("locked"))) throw cause;
    throw new FlagError(`another loop is at work in ${folder}`, { cause });
  }
  return () => lock.close();
}
