// `node server/selfplay/jobs/export-cli.ts`: prints the finished dialogues of a job as JSON Lines, from the store or a gateway.
// Owns the process: arguments, exit codes, and that no more is read than the reader takes. What is in a line is decided elsewhere.
// It plays nothing and loads no model. Example: node server/selfplay/jobs/export-cli.ts --job job_123 --unique > train.jsonl
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { ConfigError, readConfig } from "../../config.ts";
import { createLog } from "../../log.ts";
import { UsageError } from "../cli-options.ts";
import { QualityBook } from "../quality/quality-book.ts";
import { RemoteError } from "../remote-dialogue.ts";
import { FolderInUseError, StoreError } from "../../store/database.ts";
import { findJob } from "../store/job-store.ts";
import { hasDatabase, openDatabase } from "../../store/open-database.ts";
import { duplicateFlags, lineFormat } from "./job-queries.ts";
import { jsonLines } from "./export.ts";
import type { LineFormat } from "./job-wire.ts";
import { RemoteJobs } from "./remote-job.ts";

const help = `Usage: node server/selfplay/jobs/export-cli.ts --job <id> [options]

Prints the finished dialogues of a self-play job to the standard output, one line of JSON each.

  --job <id>       The job.
  --format <name>  record (default: everything that is known of a dialogue), openai, sharegpt or platolm.
  --unique         Leave out dialogues that repeat an earlier one.
  --data <folder>  Read this data folder, even where DATABASE_URL is set.
  --url <address>  Read from a running gateway, such as http://localhost:8080, with the first key of REALCHAT_API_KEYS.
  --help           Show this.

Without --url the store of the configuration is read: the server of DATABASE_URL, or the data folder, which no gateway may have open then.
`;

/** What shells show for programs ended by Ctrl-C, and for those whose reader left. */
const interruptedCode = 130;
const readerLeftCode = 141;

interface ExportCommand {
  readonly job: string;
  readonly format: LineFormat;
  readonly isUnique: boolean;
  readonly data: string | null;
  readonly url: string | null;
}

async function main(argv: readonly string[]): Promise<number> {
  const command = readArguments(argv);
  if (command === null) {
    process.stdout.write(help);
    return 0;
  }
  const abort = new AbortController();
  // Once: a second Ctrl-C ends the process the ordinary way.
  process.once("SIGINT", () => abort.abort());
  process.once("SIGTERM", () => abort.abort());
  const config = readConfig(command.data === null ? [] : ["--data", command.data]);
  const lines =
    command.url === null
      ? storedLines(command, command.data === null ? config : { ...config, databaseUrl: null })
      : new RemoteJobs(command.url, config.apiKeys[0]).lines(command.job, command, abort.signal);
  try {
    await pipeline(Readable.from(lines, { objectMode: true, highWaterMark: 1 }), process.stdout, {
      signal: abort.signal,
      end: false,
    });
  } catch (error) {
    if (abort.signal.aborted) return interruptedCode;
    if (error instanceof Error && "code" in error && error.code === "EPIPE") return readerLeftCode;
    throw error;
  }
  return 0;
}

/** null when help is asked for. */
function readArguments(argv: readonly string[]): ExportCommand | null {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = { job: text, format: text, unique: flag, data: text, url: text, help: flag };
  let given;
  try {
    given = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(". ")[0]?.replace(/\s+/g, " ") : String(error);
    throw new UsageError(`${reason}. --help lists every option.`, { cause: error });
  }
  if (given.help === true) return null;
  const { job, data = null, url = null } = given;
  if (job === undefined || job === "") throw new UsageError("--job must name a job; --help lists every option.");
  if (data !== null && url !== null) throw new UsageError("--data and --url both say where to read; give only one.");
  const format = lineFormat.safeParse(given.format ?? "record");
  if (!format.success) {
    const known = lineFormat.options.join(", ");
    throw new UsageError(`--format must be one of ${known}, not ${JSON.stringify(given.format)}.`);
  }
  return { job, format: format.data, isUnique: given.unique ?? false, data, url };
}

/** Throws StoreError where there is no such job, or no store. */
async function* storedLines(
  { job: id, format, isUnique }: ExportCommand,
  config: ReturnType<typeof readConfig>,
): AsyncGenerator<Uint8Array> {
  const place = config.databaseUrl === null ? `the data folder ${config.dataFolder}` : "the database of DATABASE_URL";
  const unknown = `There is no job '${id}' in ${place}.`;
  if (!(await hasDatabase(config))) throw new StoreError(unknown);
  const database = await openDatabase(config, createLog("silent"));
  try {
    const job = await findJob(database, id);
    if (job === null) throw new StoreError(unknown);
    // Which of them repeat others is known once they are measured; no model has a part in that.
    if (isUnique) await new QualityBook({ get: () => undefined }, config.dataFolder).measure(database, job);
    const filter = {
      statuses: ["completed" as const],
      stopReasons: [],
      simulators: [],
      withoutFlags: isUnique ? duplicateFlags : [],
    };
    yield* jsonLines(database, job, filter, format);
  } finally {
    await database.close();
  }
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof ConfigError;
    const advice = error instanceof FolderInUseError ? " A gateway that runs is read with --url." : "";
    // What a person can put right is one sentence; anything else is a fault of ours and shows where.
    const isForPeople = isUsage || error instanceof StoreError || error instanceof RemoteError;
    console.error(isForPeople ? `${error.message}${advice}` : error);
    process.exitCode = isUsage ? 2 : 1;
  }
}
