// `node training/tune/cli.ts prepare|train JOB.json`: one part of a fine-tuning, as the gateway starts it.
// Progress goes to standard output, one JSON object a line (events.ts). It ends, and leaves a checkpoint, on SIGTERM and when its
// standard input ends: a gateway that is gone takes its trainings with it.
// Exit codes: 0 done, 1 failed, 2 a file cannot be trained on, 130 interrupted and resumable.
import { mkdir } from "node:fs/promises";
import { goToBackground } from "../../runtime/ort/background.ts";
import { waitForFolder } from "../../runtime/folder-lock.ts";
import { recipeTrainer } from "../train/train.ts";
import type { TuneEvent } from "./events.ts";
import { InvalidChats } from "./export-chats.ts";
import { prepareTuning, runTuning } from "./tune.ts";
import { readTuneJob } from "./tune-job.ts";

// Whoever serves on this machine goes first. Processes that are started from here take it over.
goToBackground({ isIdle: true });

const say = (event: TuneEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);
const abort = new AbortController();
const stop = () => abort.abort();
process.on("SIGINT", stop).on("SIGTERM", stop);
process.stdin.on("end", stop).on("error", stop).resume();
process.stdout.on("error", stop);

process.exitCode = await main(process.argv.slice(2));
// The standard input would keep the process.
process.stdin.destroy();

async function main([part, file]: readonly string[]): Promise<number> {
  if ((part !== "prepare" && part !== "train") || file === undefined) {
    process.stderr.write("usage: node training/tune/cli.ts prepare|train JOB.json\n");
    return 2;
  }
  let release: (() => void) | null = null;
  try {
    const job = await readTuneJob(file);
    await mkdir(job.workFolder, { recursive: true });
    release = await waitForFolder(job.workFolder, abort.signal);
    if (part === "prepare") {
      await prepareTuning(job, say, abort.signal);
      return 0;
    }
    const python = process.env["REALCHAT_PYTHON"] ?? "python3";
    const isDone = await runTuning(job, (options) => recipeTrainer(options, python), say, abort.signal);
    return isDone ? 0 : 130;
  } catch (error) {
    if (error instanceof InvalidChats) {
      say({ event: "invalid", file: error.file, problems: [...error.problems], count: error.count });
      return 2;
    }
    if (abort.signal.aborted) return 130;
    say({ event: "failed", message: error instanceof Error ? error.message : String(error) });
    return 1;
  } finally {
    release?.();
  }
}
