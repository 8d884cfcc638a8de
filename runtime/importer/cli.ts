// `npm run import`: a checkpoint folder in, a model folder out.
// Exit codes: 0 done, 1 broken checkpoint or disk, 2 bad flags, 130 interrupted.
import { EngineError } from "../errors.ts";
import { IMPORT_HELP, parseImportArguments } from "./cli-options.ts";
import { importCheckpoint } from "./import-checkpoint.ts";
import type { ImportOptions } from "./import-checkpoint.ts";
import { progressDisplay } from "./progress.ts";

const command = parseImportArguments(process.argv.slice(2), new Date());
if (command.kind === "help") {
  process.stdout.write(IMPORT_HELP);
} else if (command.kind === "refused") {
  process.stderr.write(`import: ${command.sentence} (--help shows every flag)\n`);
  process.exitCode = 2;
} else {
  process.exitCode = await run(command.options);
}

async function run(options: ImportOptions): Promise<number> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  // For good: npm passes on an interrupt that the terminal has sent already, and the second must not cut the cleaning up.
  process.on("SIGINT", stop).on("SIGTERM", stop);
  const display = progressDisplay(process.stderr);
  try {
    const folder = await importCheckpoint(options, (progress) => display.update(progress), abort.signal);
    display.end();
    process.stdout.write(`${folder}\n`);
    return 0;
  } catch (error) {
    display.end();
    if (abort.signal.aborted) {
      process.stderr.write("import: interrupted; nothing was left behind\n");
      return 130;
    }
    const sentence = error instanceof Error ? error.message : String(error);
    process.stderr.write(`import: ${sentence}\n`);
    return error instanceof EngineError && error.code === "invalid_request" ? 2 : 1;
  }
}
