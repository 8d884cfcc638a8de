// Owns what "auto" comes to, and what settings of a fine-tuning mean to a recipe. Pure: no file, no process.
import type { TuneJob } from "./tune-job.ts";

/** What is known of the examples. */
export interface ExampleCounts {
  readonly examples: number;
  readonly heldout: number;
  /** Of all examples, the held-out ones included. */
  readonly tokens: number;
}

export interface Hyperparameters {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRateMultiplier: number;
}

// As OpenAI's own guide counts: three passes, more over few examples and fewer over many.
const usualEpochs = 3;
const fewExamples = 100;
const manyExamples = 25_000;
const mostEpochs = 25;
/** A batch is so small a share of the examples, between these bounds. */
const batchShare = 1 / 500;
const smallestBatch = 8;
const largestBatch = 256;

/** Fills in what was left open. */
export function resolveHyperparameters(
  { epochs, batchSize, learningRateMultiplier }: Pick<TuneJob, "epochs" | "batchSize" | "learningRateMultiplier">,
  { examples }: ExampleCounts,
): Hyperparameters {
  const share = Math.ceil(examples * batchShare);
  return {
    epochs: epochs === "auto" ? autoEpochs(examples) : epochs,
    batchSize: batchSize === "auto" ? Math.min(largestBatch, Math.max(smallestBatch, share), examples) : batchSize,
    learningRateMultiplier: learningRateMultiplier === "auto" ? 1 : learningRateMultiplier,
  };
}

function autoEpochs(examples: number): number {
  if (examples * usualEpochs < fewExamples) return Math.min(mostEpochs, Math.floor(fewExamples / examples));
  if (examples * usualEpochs > manyExamples) return Math.max(1, Math.floor(manyExamples / examples));
  return usualEpochs;
}

/** What the learning rate's multiplier multiplies: larger models want smaller steps, adapters larger ones. */
export function baseLearningRate(parameters: number, isLora: boolean): number {
  const full = Math.min(1e-3, 2e-5 * Math.sqrt(7e9 / parameters));
  return isLora ? Math.min(2e-3, 10 * full) : full;
}

/** Held-out loss is measured so often in an epoch. */
const measuresPerEpoch = 2;
/** A run that is broken off loses at most this share of its work. */
const checkpointShare = 1 / 10;
const mostStepsToLose = 200;

/** The recipe's flags. A recipe cuts its batches by tokens: as many as a batch of examples of mean length has. */
export function recipeFlagsOf(
  { epochs, batchSize, learningRateMultiplier }: Hyperparameters,
  { examples, heldout, tokens }: ExampleCounts,
  { lora, seed }: Pick<TuneJob, "lora" | "seed">,
  parameters: number,
): readonly string[] {
  const stepsPerEpoch = Math.max(1, Math.ceil(examples / batchSize));
  const steps = Math.ceil(stepsPerEpoch * epochs);
  const learningRate = baseLearningRate(parameters, lora !== null) * learningRateMultiplier;
  const adapters = lora === null ? [] : [`--lora-rank=${lora.rank}`, `--lora-alpha=${lora.alpha}`];
  return [
    `--method=${lora === null ? "full" : "lora"}`,
    ...adapters,
    `--epochs=${epochs}`,
    `--batch-tokens=${Math.ceil((batchSize * tokens) / (examples + heldout))}`,
    `--lr=${Number(learningRate.toPrecision(3))}`,
    `--seed=${seed}`,
    `--evaluate-every=${Math.max(1, Math.floor(stepsPerEpoch / measuresPerEpoch))}`,
    `--checkpoint-every=${Math.min(mostStepsToLose, Math.max(1, Math.ceil(steps * checkpointShare)))}`,
  ];
}
