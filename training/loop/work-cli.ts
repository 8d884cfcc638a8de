// `node training/loop/work-cli.ts FLAGS`: a loop as the gateway starts it, with the flags of `npm run loop`.
// It says how far it is on standard output, one JSON object a line (loop-events.ts). It ends, and can go on, on SIGTERM and when its
// standard input ends: a gateway that is gone takes its loops with it.
// Exit codes: 0 done, 1 failed, 2 bad flags or input, 130 interrupted and resumable.
import { goToBackground } from "../../runtime/ort/background.ts";
import { EngineError } from "../../runtime/errors.ts";
import { FlagError } from "../prepare/flags.ts";
import { SourceError } from "../sources/source-error.ts";
import { runLoop } from "./loop.ts";
import type { LoopEvent } from "./loop-events.ts";
import { parseLoopArguments } from "./options.ts";
import { acceptedIn, type RoundRecordJson } from "./record.ts";
import { GatewayError } from "./selfplay-job.ts";

// Whoever serves on this machine goes first. Processes that are started from here take it over.
goToBackground({ isIdle: true });

const say = (event: LoopEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);
const abort = new AbortController();
const stop = () => abort.abort();
process.on("SIGINT", stop).on("SIGTERM", stop);
process.stdin.on("end", stop).on("error", stop).resume();
process.stdout.on("error", stop);

process.exitCode = await main(process.argv.slice(2));
// The standard input would keep the process.
process.stdin.destroy();

async function main(args: readonly string[]): Promise<number> {
  try {
    const command = parseLoopArguments(args);
    if (command.kind !== "loop") throw new FlagError("a loop is wanted");
    const hooks = {
      environment: process.env,
      // The process of a gateway that was killed may still be writing a checkpoint.
      isWaiting: true,
      onNote: () => {},
      onProgress: (text: string) => say({ event: "progress", text }),
      onStepBegin: (round: number, step: string) => say({ event: "step", round, step }),
      onSelfplayJob: (job: string) => say({ event: "selfplay", job }),
      onRoundEnd: (record: RoundRecordJson) => {
        const { user, assistant } = record.ends ?? record.begins;
        const { round } = record;
        say({ event: "round", round, user: user.id, assistant: assistant.id, accepted: acceptedIn(record) });
      },
    };
    await runLoop(command.options, hooks, abort.signal);
    say({ event: "done" });
    return 0;
  } catch (error) {
    if (abort.signal.aborted) return 130;
    const message = error instanceof Error ? error.message : String(error);
    // What may pass, such as a gateway that is being started again, is tried again by whoever started this.
    if (!isFinal(error)) {
      process.stderr.write(`${message}\n`);
      return 1;
    }
    say({ event: "failed", message });
    return 2;
  }
}

function isFinal(error: unknown): boolean {
  if (error instanceof GatewayError) return error.isFinal;
  return error instanceof FlagError || error instanceof SourceError || error instanceof EngineError;
}
