// `npm run checkpoint`: a served model's folder in, a checkpoint folder out.
// Exit codes: 0 done, 1 broken model or disk, 2 bad flags, 130 interrupted.
import { EngineError } from "../errors.ts";
import { progressDisplay } from "../importer/progress.ts";
import { CHECKPOINT_HELP, parseCheckpointArguments } from "./cli-options.ts";
import { type CheckpointOptions, writeCheckpoint } from "./write-checkpoint.ts";

const command = parseCheckpointArguments(process.argv.slice(2));
if (command.kind === "help") {
  process.stdout.write(CHECKPOINT_HELP);
} else if (command.kind === "refused") {
  process.stderr.write(`checkpoint: ${command.sentence} (--help shows every flag)\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await run(command.options);
}

async function run(options: CheckpointOptions): Promise<number> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  // For good: npm passes on an interrupt that the terminal has sent already, and the second must not cut the cleaning up.
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const display = progressDisplay(process.stderr);
  try {
    const folder = await writeCheckpoint(options, (progress) => display.update(progress), abort.signal);
    display.end();
    process.stdout.write(`${folder}\n`);
    return 0;
  } catch (error) {
    display.end();
    if (abort.signal.aborted) {
      process.stderr.write("checkpoint: interrupted; nothing was left behind\n");
      return 130;
    }
    process.stderr.write(`checkpoint: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof EngineError && error.code === "invalid_request" ? 2 : 1;
  }
}
