// Holds a device against the CPU before anything is trained on it: a tiny network's loss, gradients and one optimizer step.
// A card, a driver or a library that computes something else is found out here and not after hours.
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import { chooseDevice, type Device } from "../../runtime/ort/device.ts";
import type { Environment } from "../../runtime/ort/environment.ts";
import { AdamW } from "./adamw.ts";
import { batchOf } from "./batch.ts";
import type { FlatBuffer } from "./buffers.ts";
import { Network } from "./network.ts";
import { networkParts } from "./network-parts.ts";
import { valueCount } from "./parameters.ts";
import { startWeights } from "./weights.ts";

/** Every part that a network can have: grouped heads, biases, norms of queries and keys. */
const CONFIG: DecoderConfig = {
  architecture: "qwen3",
  layers: 2,
  hiddenSize: 32,
  intermediateSize: 48,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  vocabSize: 50,
  maxPositions: 16,
  slidingWindow: null,
  rmsNormEpsilon: 1e-6,
  ropeTheta: 10_000,
  ropeScaling: { kind: "none" },
  isHeadTied: true,
  hasQkvBias: true,
  hasOutputBias: true,
  hasMlpBias: true,
  hasQkNorm: true,
};
const TOLERANCE = 1e-3;
const SEED = 1;

/** Why a device should not train, as the end of a sentence; null when it computes what the CPU computes. */
export async function deviceProblem(environment: Environment, device: Device): Promise<string | null> {
  try {
    const cpu = chooseDevice(environment.api, "cpu", null, () => {});
    const [expected, found] = [await computed(environment, cpu), await computed(environment, device)];
    for (const [what, values] of Object.entries(expected)) {
      const difference = relativeDifference(found[what] ?? new Float32Array(), values);
      // NaN is too large as well.
      if (!(difference < TOLERANCE))
        return `its ${what} differ from the CPU's by ${difference.toPrecision(2)} of their size`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Accumulated over two passes, so that all that a training runs has run. */
async function computed(environment: Environment, device: Device): Promise<Readonly<Record<string, Float32Array>>> {
  const network = await Network.open(environment, device, CONFIG, {
    ...networkParts(CONFIG, { lora: null, deviation: 0.2 }),
    lora: null,
    maxTokens: CONFIG.maxPositions,
    isCheckpointing: true,
    isAccumulating: true,
  });
  let optimizer: AdamW | null = null;
  try {
    optimizer = await AdamW.open(network.home, network.trained, network.gradients);
    await startWeights(network.trained, SEED);
    const examples = [16, 11].map((length, row) => {
      const ids = Int32Array.from({ length }, (_, at) => (7 * at + 5 * row) % CONFIG.vocabSize);
      return { id: "", ids, labels: ids.map((id, at) => (at % 3 === 0 ? -100 : id)), trainedTokens: 1 };
    });
    const batch = batchOf(examples, 0);
    const seed = 1 / batch.targets.length;
    const losses = [await network.accumulate(batch, seed, true), await network.accumulate(batch, seed, false)];
    const gradients = await allValues(network.gradients);
    await optimizer.update(await optimizer.gradientNorm(), { step: 1, rate: 0.01, decay: 0.1, clip: 1 });
    return { losses: Float32Array.from(losses), gradients, "trained weights": await allValues(network.trained) };
  } finally {
    optimizer?.release();
    network.release();
  }
}

async function allValues(buffer: FlatBuffer): Promise<Float32Array> {
  const { parameters } = buffer.layout;
  const values = new Float32Array(parameters.reduce((sum, parameter) => sum + valueCount(parameter), 0));
  let end = 0;
  for (const parameter of parameters) {
    const begin = end;
    end += valueCount(parameter);
    await buffer.read(parameter, 0, values.subarray(begin, end));
  }
  return values;
}

/** In the norm of all of them. */
function relativeDifference(found: Float32Array, expected: Float32Array): number {
  const gap = expected.reduce((sum, value, at) => sum + ((found[at] ?? Number.NaN) - value) ** 2, 0);
  return Math.sqrt(gap / expected.reduce((sum, value) => sum + value ** 2, 0));
}
