// Owns how the loop starts programs of this repository: on a leash, so that none outlives it and two never use the same files.
// It does not know what they do.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const leash = join(import.meta.dirname, "leash.ts");

/** Arguments for `node` to run what comes after them on a leash of this process. */
export function leashArguments(runFolder: string): string[] {
  const url = pathToFileURL(leash);
  url.searchParams.set("parent", String(process.pid));
  url.searchParams.set("lock", join(runFolder, ".child"));
  return ["--import", url.href];
}
