// Owns the order of a fine-tuning: export, the base's checkpoint, the recipe, the model's way into place. Each part is taken up
// where it was left: a job that is broken off and run again ends with the same model. It knows no process but the recipe's.
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { readManifest, type Manifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import type { ExportRecord } from "../exports/format.ts";
import { parseTrainArguments, type TrainOptions } from "../train/cli-options.ts";
import { parseRecipeEvent } from "../train/events.ts";
import { prepareRun } from "../train/prepare-run.ts";
import { train, type Trainer } from "../train/train.ts";
import type { TuneEvent } from "./events.ts";
import { exportChats } from "./export-chats.ts";
import { type ExampleCounts, recipeFlagsOf, resolveHyperparameters } from "./hyperparameters.ts";
import type { TuneJob } from "./tune-job.ts";

type Say = (event: TuneEvent) => void;

/** Looks through the files and writes the export. Throws InvalidChats. */
export async function prepareTuning(job: TuneJob, say: Say, signal: AbortSignal): Promise<void> {
  const { counts, leftOut } = await exportChats(job, exportOf(job), signal);
  const { epochs, batchSize, learningRateMultiplier } = resolveHyperparameters(job, countsOf({ counts }));
  say({
    event: "validated",
    examples: counts.train,
    heldout_examples: counts.heldout,
    too_long: Object.values(leftOut).reduce((sum, count) => sum + count, 0),
    epochs,
    batch_size: batchSize,
    learning_rate_multiplier: learningRateMultiplier,
  });
}

/**
 * Trains, imports, checks and puts the model in place; false where it was interrupted and left a checkpoint. What was said before
 * it was broken off is said again. Throws an Error with a sentence.
 */
export async function runTuning(
  job: TuneJob,
  trainerOf: (options: TrainOptions) => Trainer,
  say: Say,
  signal: AbortSignal,
): Promise<boolean> {
  const target = join(job.outFolder, modelFolderName(job.id));
  const run = join(job.workFolder, "run");
  await sayAgain(join(run, "log.jsonl"), say);
  // It has its name only when it is whole.
  const made = await readManifest(target).catch(() => null);
  if (made === null) {
    const options = await optionsOf(job, run, signal);
    const onEvent = (event: TuneEvent) => {
      // How it ends is told by what is thrown.
      if (event.event !== "error") say(event);
    };
    const outcome = await train(options, trainerOf(options), { onEvent, onImport: () => {} }, signal);
    if (outcome.kind === "interrupted") return false;
  }
  say({ event: "registered", folder: target });
  return true;
}

const exportOf = ({ workFolder }: TuneJob) => join(workFolder, "export");

const countsOf = ({ counts }: Pick<ExportRecord, "counts">): ExampleCounts => ({
  examples: counts.train,
  heldout: counts.heldout,
  tokens: counts.tokens,
});

/** Steps that were told to a process that is gone would be missing otherwise. */
async function sayAgain(log: string, say: Say): Promise<void> {
  if (!(await isThere(log))) return;
  for await (const line of createInterface({ input: createReadStream(log) })) {
    const event = parseRecipeEvent(line);
    if (event?.event === "step" || event?.event === "done") say(event);
  }
}

async function optionsOf(job: TuneJob, run: string, signal: AbortSignal): Promise<TrainOptions> {
  const { modelFolder, id, role, outFolder, source, baseModel, createdAt, recipe, threads } = job;
  if (!(await isThere(exportOf(job)))) await exportChats(job, exportOf(job), signal);
  const { counts } = JSON.parse(await readFile(join(exportOf(job), "meta.json"), "utf8")) as ExportRecord;
  const known = countsOf({ counts });
  const parameters = parametersOf(await readManifest(modelFolder));
  const args = [
    `--recipe=${recipe}`,
    ...(threads === null ? [] : [`--threads=${threads}`]),
    `--data=${exportOf(job)}`,
    `--model=${modelFolder}`,
    `--run-folder=${run}`,
    ...((await isThere(run)) ? ["--resume"] : []),
    `--id=${id}`,
    `--role=${role}`,
    `--out=${outFolder}`,
    `--source=${source}`,
    `--base-model=${baseModel}`,
    `--created-at=${createdAt}`,
    ...recipeFlagsOf(resolveHyperparameters(job, known), known, job, parameters),
  ];
  const command = parseTrainArguments(args, new Date(createdAt));
  if (command.kind !== "train") throw new Error(command.kind === "refused" ? command.sentence : "help was asked for");
  const ready = await prepareRun(command.options, { onNote: () => {}, onWeights: () => {} }, signal);
  return { ...ready, job: job.job };
}

/** About so many: the embedding, and per layer attention and the feed-forward part of four times the width or so. */
function parametersOf({ network }: Manifest): number {
  const { layers, hiddenSize, vocabSize } = network;
  return vocabSize * hiddenSize + layers * 12 * hiddenSize * hiddenSize;
}

const isThere = async (path: string) => (await stat(path).catch(() => null)) !== null;
