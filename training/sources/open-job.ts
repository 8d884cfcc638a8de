// Owns the bytes of a self-play job: the gateway's export program writes its dialogues as lines, and this reads them.
// The program is started and not imported, because training does not know the server.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { SourceError } from "./source-error.ts";

/** Where jobs are kept; both null: where the gateway keeps them unless told otherwise. */
export interface JobStore {
  /** Data folder of a gateway. */
  readonly data: string | null;
  /** Address of a running gateway. */
  readonly url: string | null;
}

const program = join(import.meta.dirname, "..", "..", "server", "selfplay", "jobs", "export-cli.ts");

/** The id of a source that is named `job:ID`; null for files. */
export function jobIdOf(source: string): string | null {
  return source.startsWith("job:") ? source.slice("job:".length) : null;
}

/** The job's dialogues as JSON Lines. Throws SourceError with the program's own sentence when it fails. */
export async function* jobBytes(
  id: string,
  { data, url }: JobStore,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const where = [...(data === null ? [] : ["--data", data]), ...(url === null ? [] : ["--url", url])];
  const args = [program, "--job", id, "--format", "record", ...where];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], signal });
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  // Heard at once: it may end, or fail to start, before all it wrote is read.
  const ended = once(child, "close").then(
    ([code]) => ({ code: code as number | null }),
    (error: unknown) => ({ error }),
  );
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const end = await ended;
    if ("error" in end) throw new SourceError(`Self-play job ${id} cannot be read: ${String(end.error)}.`);
    if (end.code === 0) return;
    const said = Buffer.concat(errors).toString().trim();
    throw new SourceError(said === "" ? `Reading self-play job ${id} ended with code ${end.code}.` : said);
  } finally {
    child.kill();
  }
}
