// Stands in for `training/tune/cli.ts prepare|train JOB.json`: speaks as it does, keeps checkpoints, stops as it does, and learns nothing.
// It waits between steps as long as the file `pace` beside the job says, so that a test can stop it anywhere.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TuneJob } from "../../training/tune/tune-job.ts";
import { waitForFolder } from "../../runtime/folder-lock.ts";
import { modelFolderName } from "../../runtime/model-id.ts";

export interface Pace {
  readonly steps: number;
  readonly stepMs: number;
  /** Files are looked through by the real program. */
  readonly isPreparing?: boolean;
  readonly checkpointEvery: number;
  /** Ends without a word behind this step, as often as there are entries. */
  readonly crashes?: readonly number[];
  /** Fails behind this step, and says why. */
  readonly failsAt?: number;
  /** Does not end when it is asked to. */
  readonly isDeaf?: boolean;
}

const lossOf = (step: number) => Math.round(1e6 / (step + 1)) / 1e6;

const say = (event: object) => void process.stdout.write(`${JSON.stringify(event)}\n`);

async function main(): Promise<number> {
  const job = JSON.parse(readFileSync(process.argv[3] ?? "", "utf8")) as TuneJob;
  const at = (name: string) => join(job.workFolder, name);
  const pace = JSON.parse(readFileSync(join(job.workFolder, "..", "pace.json"), "utf8")) as Pace;
  const told = (event: object) => {
    appendFileSync(at("log.jsonl"), `${JSON.stringify(event)}\n`);
    say(event);
  };
  if (process.argv[2] === "prepare") {
    say({ event: "validated", examples: 3, heldout_examples: 0, too_long: 0, epochs: 1, batch_size: 3, learning_rate_multiplier: 1 }); // prettier-ignore
    return 0;
  }
  let isStopped = false;
  const stop = () => (isStopped = pace.isDeaf !== true);
  process.on("SIGTERM", stop);
  process.stdin.on("end", stop).on("error", stop).resume();
  await waitForFolder(job.workFolder, AbortSignal.timeout(60_000));
  appendFileSync(join(job.workFolder, "..", "started.txt"), `${job.id}\n`);
  if (existsSync(at("log.jsonl"))) process.stdout.write(readFileSync(at("log.jsonl")));
  const first = existsSync(at("checkpoint")) ? Number(readFileSync(at("checkpoint"), "utf8")) : 0;
  const crashes = existsSync(at("crashes")) ? readFileSync(at("crashes"), "utf8").length : 0;
  say({ event: "start", step: first, steps: pace.steps, parameters: 1, trained_parameters: 1, device: "cpu", processes: 1,
    train_examples: 2, train_tokens: 100, trained_tokens: 50, heldout_examples: 1, cut_examples: 0, dropped_examples: 0 }); // prettier-ignore
  for (let step = first + 1; step <= pace.steps; step += 1) {
    if (isStopped) {
      writeFileSync(at("checkpoint"), String(step - 1));
      say({ event: "interrupted", step: step - 1 });
      return 130;
    }
    await sleep(pace.stepMs);
    const heldout = step % 2 === 0 ? { heldout_loss: lossOf(step) + 1 } : {};
    told({ event: "step", step, steps: pace.steps, loss: lossOf(step), ...heldout, eta_s: pace.steps - step });
    if (step % pace.checkpointEvery === 0) writeFileSync(at("checkpoint"), String(step));
    if (pace.failsAt === step) {
      say({ event: "failed", message: "the loss is no number any more" });
      return 1;
    }
    if (pace.crashes?.[crashes] === step) {
      appendFileSync(at("crashes"), "x");
      process.stderr.write("out of memory\n");
      process.exit(7);
    }
  }
  told({ event: "done", result: "none", steps: pace.steps, best: 1, best_step: pace.steps - 1 });
  const folder = join(job.outFolder, modelFolderName(job.id));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "made.json"), JSON.stringify({ id: job.id, seed: job.seed, epochs: job.epochs }));
  say({ event: "registered", folder });
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main();
  process.stdin.destroy();
}
