// The recipe as a program: `node training/onnx/cli.ts --data EXPORT --base CHECKPOINT --run-folder RUN`. `npm run train` starts it.
// Progress goes to standard output, one JSON object a line. SIGINT and SIGTERM write a checkpoint and end.
// Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted and resumable.
import { goToBackground } from "../../runtime/ort/background.ts";
import { EngineError } from "../../runtime/errors.ts";
import { freeCardBytes } from "../../runtime/ort/card-memory.ts";
import type { DeviceName } from "../../runtime/ort/device.ts";
import { BadInput } from "./bad-input.ts";
import { parseRecipeOptions } from "./options.ts";
import { runRecipe } from "./recipe.ts";
import { Reporter } from "./reporter.ts";

// Whoever serves on this machine goes first. Threads take it over from the one that makes them: so before there are any.
goToBackground({ isIdle: false });

const INPUT_CODES = new Set<string>(["bad_model", "invalid_request", "device_unavailable"]);
const abort = new AbortController();
const stop = () => abort.abort();
process.on("SIGINT", stop).on("SIGTERM", stop);
// Nobody listens any more: it ends as if it had been asked to.
process.stdout.on("error", stop);

process.exitCode = await main();

async function main(): Promise<number> {
  let reporter: Reporter | null = null;
  try {
    const options = parseRecipeOptions(process.argv.slice(2));
    const started = performance.now();
    reporter = new Reporter(options.runFolder, (line) => process.stdout.write(line));
    const hooks = {
      availableBytes: (device: DeviceName) => (device === "cuda" ? freeCardBytes() : process.availableMemory()),
      onDeviceFallback: (reason: string) => process.stderr.write(`the CPU trains: ${reason}\n`),
      libraryPath: process.env["REALCHAT_ORT_LIBRARY"] ?? null,
    };
    if (!(await runRecipe(options, reporter, hooks, abort.signal))) return 130;
    reporter.say("end", { seconds: Math.round((performance.now() - started) / 100) / 10 });
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reporter?.fail(message);
    process.stderr.write(`${message}\n`);
    const isInput = error instanceof BadInput || (error instanceof EngineError && INPUT_CODES.has(error.code));
    return isInput ? 2 : 1;
  }
}
