// `npm run loop`: rounds of self-play, filtering, training and judging; each begins with the models that passed the one before.
// Exit codes: 0 done, 1 failed, 2 bad flags or input, 130 interrupted (--resume goes on).
import { join } from "node:path";
import { EngineError } from "../../runtime/errors.ts";
import { FlagError } from "../prepare/flags.ts";
import { SourceError } from "../sources/source-error.ts";
import { LOOP_HELP } from "./loop-flags.ts";
import { runLoop } from "./loop.ts";
import { type LoopCommand, type LoopOptions, parseLoopArguments } from "./options.ts";
import { roundFolder } from "./round.ts";
import { endingText } from "./report-rows.ts";
import { GatewayError } from "./selfplay-job.ts";
import { verifyRun } from "./verify.ts";

const interruptedCode = 130;

const abort = new AbortController();
const stop = () => abort.abort();
// For good: npm passes on an interrupt that the terminal has sent already, and a second one must not cut a checkpoint short.
process.on("SIGINT", stop).on("SIGTERM", stop);

try {
  process.exitCode = await main(parseLoopArguments(process.argv.slice(2)));
} catch (error) {
  process.exitCode = told(error);
}

async function main(command: LoopCommand): Promise<number> {
  if (command.kind === "help") {
    process.stdout.write(LOOP_HELP);
    return 0;
  }
  if (command.kind === "verify") {
    const { rounds, checked, problems } = await verifyRun(command.runFolder, command.modelsFolder, abort.signal);
    for (const problem of problems) console.error(`loop: ${problem}`);
    console.log(
      `${rounds} rounds, ${checked} files and models: ${problems.length === 0 ? "all as recorded" : "not all as recorded"}`,
    );
    return problems.length === 0 ? 0 : 1;
  }
  return run(command.options);
}

async function run(options: LoopOptions): Promise<number> {
  const { isTTY } = process.stderr;
  let isOnLine = false;
  const note = (sentence: string) => {
    process.stderr.write(`${isOnLine ? "\n" : ""}loop: ${sentence}\n`);
    isOnLine = false;
  };
  const hooks = {
    environment: process.env,
    onNote: note,
    onProgress: (text: string) => {
      // Where nothing can be written over, steps are enough.
      if (!isTTY) return;
      process.stderr.write(`\r  ${text}\u001B[K`);
      isOnLine = true;
    },
  };
  try {
    const records = await runLoop(options, hooks, abort.signal);
    if (isOnLine) process.stderr.write("\n");
    for (const record of records) {
      console.log(endingText(record));
      console.log(join(options.runFolder, roundFolder(record.round), "report.md"));
    }
    return 0;
  } finally {
    if (isOnLine) process.stderr.write("\n");
  }
}

function told(error: unknown): number {
  if (abort.signal.aborted) {
    console.error("loop: interrupted; the same command with --resume goes on");
    return interruptedCode;
  }
  const isInput =
    error instanceof FlagError ||
    error instanceof SourceError ||
    (error instanceof EngineError && error.code === "invalid_request");
  const isForPeople = isInput || error instanceof GatewayError || error instanceof EngineError;
  if (error instanceof FlagError) console.error(`loop: ${error.message} (--help shows every flag)`);
  else
    console.error(
      isForPeople || (error instanceof Error && error.constructor === Error) ? `loop: ${error.message}` : error,
    );
  return isInput ? 2 : 1;
}
