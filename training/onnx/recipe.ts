// Owns the order of the recipe: settings, data, network, memory, training, result, reference. It knows what each part is for
// and how none of them works.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { chooseDevice, type Device, type DeviceName } from "../../runtime/ort/device.ts";
import { type Environment, openEnvironment } from "../../runtime/ort/environment.ts";
import { AdamW } from "./adamw.ts";
import { BadInput } from "./bad-input.ts";
import { deviceProblem } from "./device-check.ts";
import { type Examples, readExamples } from "./examples.ts";
import { type BatchSize, estimateMemory, memoryProblem } from "./memory-estimate.ts";
import { Network } from "./network.ts";
import { type NetworkConfig, networkConfig } from "./network-config.ts";
import type { RecipeOptions } from "./options.ts";
import { packedExamples } from "./pack.ts";
import { networkParts, partSizes } from "./network-parts.ts";
import { networkParameters, totalValues } from "./parameters.ts";
import { writeReference } from "./reference.ts";
import type { Reporter } from "./reporter.ts";
import { writeResult } from "./result.ts";
import { rememberSettings } from "./settings.ts";
import { scheduleOf, Trainer, type TrainerSettings } from "./trainer.ts";
import { loadWeights, startWeights } from "./weights.ts";

export interface RecipeHooks {
  /** Bytes of a device's memory that may still be taken; null where nobody says. */
  readonly availableBytes: (device: DeviceName) => number | null;
  /** Hears why `auto` took the CPU. */
  readonly onDeviceFallback: (reason: string) => void;
  /** Another libonnxruntime than the packaged one; null for the packaged. */
  readonly libraryPath: string | null;
}

/**
 * Trains as the options say; false when the signal came first. Throws BadInput or EngineError with a sentence; a run's files
 * are then those of its last checkpoint.
 */
export async function runRecipe(
  options: RecipeOptions,
  reporter: Reporter,
  hooks: RecipeHooks,
  signal: AbortSignal,
): Promise<boolean> {
  const config = await networkConfig(options);
  const examples = await readAll(options, config);
  const environment = openEnvironment({
    threads: options.threads,
    isSpinning: false,
    ...(hooks.libraryPath === null ? {} : { libraryPath: hooks.libraryPath }),
  });
  try {
    const best = await fit(options, config, examples, environment, reporter, hooks, signal);
    if (best === null) return false;
    const result = join(options.runFolder, "result");
    await describeResult(options, config, examples, environment, result);
    reporter.say("done", { result, ...best });
    return true;
  } finally {
    environment.release();
  }
}

interface AllExamples {
  readonly train: Examples;
  readonly heldout: Examples;
}

/** Trains and writes the result. Null when it was interrupted. */
async function fit(
  options: RecipeOptions,
  config: NetworkConfig,
  examples: AllExamples,
  environment: Environment,
  reporter: Reporter,
  { availableBytes, onDeviceFallback }: RecipeHooks,
  signal: AbortSignal,
): Promise<Record<string, number> | null> {
  const { lora } = options;
  const settings: TrainerSettings = { ...options, padId: config.padId };
  const parts = networkParts(config.decoder, { ...options, deviation: config.deviation });
  const device = await checkedDevice(environment, options.device, onDeviceFallback);
  const estimate = estimateMemory(
    config.decoder,
    { ...options, ...partSizes(parts), device: device.name },
    batchSizes(settings, examples.train),
  );
  const available = availableBytes(device.name);
  const problem = available === null ? null : memoryProblem(estimate, available);
  if (problem !== null && !options.isMemoryIgnored) throw new BadInput(problem);
  // Only now: what could be refused at once leaves no run behind.
  await rememberSettings(options);

  const network = await Network.open(environment, device, config.decoder, {
    ...parts,
    lora,
    maxTokens: longest(examples),
    isCheckpointing: options.isCheckpointing,
    isAccumulating: options.accumulate > 1,
  });
  let optimizer: AdamW | null = null;
  try {
    optimizer = await AdamW.open(network.home, network.trained, network.gradients);
    if (options.baseFolder !== null) {
      const buffer = lora === null ? network.trained : network.frozen;
      await loadWeights(options.baseFolder, config.decoder, buffer, network.packed);
    }
    if (options.baseFolder === null || lora !== null) await startWeights(network.trained, options.seed);
    const trainer = new Trainer(settings, examples, { network, optimizer }, reporter);
    await trainer.restore();
    reporter.say("start", {
      ...trainer.describe(),
      parameters: totalValues([...parts.trained, ...parts.frozen, ...parts.packed]),
      trained_parameters: totalValues(parts.trained),
      device: device.name,
      processes: 1,
      memory_bytes: estimate.totalBytes,
      ...(available === null ? {} : { available_bytes: available }),
    });
    if (!(await trainer.fit(signal))) return null;
    const best = await trainer.takeBest();
    await writeResult(network, { ...options, configJson: config.json });
    return { steps: trainer.steps, ...best };
  } finally {
    optimizer?.release();
    network.release();
  }
}

/** The device of a choice, once it has computed what the CPU computes; `auto` takes the CPU otherwise. */
async function checkedDevice(
  environment: Environment,
  choice: RecipeOptions["device"],
  onFallback: (reason: string) => void,
): Promise<Device> {
  const device = chooseDevice(environment.api, choice, null, onFallback);
  const problem = device.name === "cpu" ? null : await deviceProblem(environment, device);
  if (problem === null) return device;
  if (choice !== "auto") throw new BadInput(`--device ${choice} cannot be trained on: ${problem}`);
  onFallback(problem);
  return chooseDevice(environment.api, "cpu", null, onFallback);
}

/** What the finished checkpoint computes, read back as anybody would. */
async function describeResult(
  { runFolder, referenceExamples }: RecipeOptions,
  { decoder }: NetworkConfig,
  examples: AllExamples,
  environment: Environment,
  result: string,
): Promise<void> {
  const device = chooseDevice(environment.api, "cpu", null, () => {});
  const network = await Network.open(environment, device, decoder, {
    ...networkParts(decoder, { lora: null }),
    lora: null,
    trained: [],
    frozen: networkParameters(decoder),
    maxTokens: longest(examples),
    isCheckpointing: false,
    isAccumulating: false,
  });
  try {
    await loadWeights(result, decoder, network.frozen, null);
    const shown = examples.heldout.items.length > 0 ? examples.heldout : examples.train;
    await writeReference(runFolder, network, shown.items, referenceExamples);
  } finally {
    network.release();
  }
}

async function readAll(options: RecipeOptions, { decoder, contextTokens }: NetworkConfig): Promise<AllExamples> {
  const read = async (name: string, isNeeded: boolean): Promise<Examples> => {
    const path = join(options.dataFolder, name);
    if ((await stat(path).catch(() => null)) === null) {
      if (isNeeded) throw new BadInput(`${path} does not exist`);
      return { items: [], cut: 0, dropped: 0, sha256: "" };
    }
    const { isTrainingAll } = options;
    return readExamples(path, { isTrainingAll, contextTokens, vocabSize: decoder.vocabSize });
  };
  const train = await read("train.jsonl", true);
  if (train.items.length === 0) throw new BadInput("train.jsonl has no example with a token in the loss");
  return {
    train: options.isPacking ? packedExamples(train, contextTokens, options.seed) : train,
    heldout: await read("heldout.jsonl", false),
  };
}

function longest({ train, heldout }: AllExamples): number {
  return [...train.items, ...heldout.items].reduce((most, { ids }) => Math.max(most, ids.length), 1);
}

function batchSizes(settings: TrainerSettings, train: Examples): BatchSize[] {
  const schedule = scheduleOf(settings, train);
  return Array.from({ length: schedule.stepsPerEpoch }, (_, step) => schedule.batches(step))
    .flat()
    .map((batch) => {
      const examples = batch.flatMap((index) => train.items[index] ?? []);
      return {
        sequences: examples.length,
        tokens: examples.reduce((most, { ids }) => Math.max(most, ids.length), 0),
        trainedTokens: examples.reduce((sum, { trainedTokens }) => sum + trainedTokens, 0),
      };
    });
}
