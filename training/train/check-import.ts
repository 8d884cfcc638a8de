// Owns the proof that an imported model computes what its checkpoint computes: logits and losses on real examples, side by
// side, through the engine's own decoder. It knows the recipe's reference, not how it came about.
import { openDecoder, type Decoder } from "../../runtime/engine/decoder.ts";
import { readManifest } from "../../runtime/manifest.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { readReference, type ReferenceExample } from "./reference.ts";

/** Positions computed in one run, and logits rows that are held for it. */
const STEP_TOKENS = 16;

export interface ImportCheck {
  readonly precision: string;
  /** Positions whose logits were compared. */
  readonly positions: number;
  /** Between two logits; each row's mean is taken off first, as only differences within a row mean anything. */
  readonly maxDifference: number;
  readonly meanDifference: number;
  /** Share of positions with the same best token. */
  readonly topAgreement: number;
  readonly examples: number;
  readonly trainedTokens: number;
  /** Nats a token, of the checkpoint and of the imported model. */
  readonly checkpointLoss: number;
  readonly importedLoss: number;
}

interface Limits {
  readonly maxDifference: number;
  readonly topAgreement: number;
  readonly lossIncrease: number;
}

// Beyond these it is not rounding any more. The quantized ones depend on the weights and are wide.
const limits: Readonly<Record<string, Limits>> = {
  float32: { maxDifference: 2e-3, topAgreement: 0.999, lossIncrease: 1e-4 },
  float16: { maxDifference: 0.5, topAgreement: 0.98, lossIncrease: 5e-3 },
  int8: { maxDifference: Number.POSITIVE_INFINITY, topAgreement: 0.9, lossIncrease: 0.05 },
  int4: { maxDifference: Number.POSITIVE_INFINITY, topAgreement: 0.6, lossIncrease: 0.5 },
};

/** Computes the run's reference examples with the model in `folder`, on the CPU; aborting stops between two steps. */
export async function checkImport(folder: string, runFolder: string, signal: AbortSignal): Promise<ImportCheck> {
  const manifest = await readManifest(folder);
  const environment = openEnvironment({ threads: null });
  let decoder: Decoder | null = null;
  const sums = { positions: 0, max: 0, total: 0, values: 0, agreed: 0, examples: 0, tokens: 0, wanted: 0, found: 0 };
  try {
    const device = chooseDevice(environment.api, "cpu", manifest.kvPrecision, () => {});
    const options = { folder, manifest, slots: STEP_TOKENS, prefillChunkTokens: STEP_TOKENS };
    let room = 0;
    for await (const example of readReference(runFolder)) {
      signal.throwIfAborted();
      // Memory for what there is, not for a whole context window.
      if (decoder === null || example.ids.length > room) {
        decoder?.release();
        room = Math.min(manifest.contextWindow, Math.max(512, example.ids.length));
        decoder = await openDecoder(environment, device, { ...options, maxTokens: room });
      }
      await compareExample(decoder, example, sums, signal);
    }
  } finally {
    decoder?.release();
    environment.release();
  }
  if (sums.examples === 0) throw new Error(`${runFolder} holds no example to check the import with`);
  return {
    precision: manifest.precision,
    positions: sums.positions,
    maxDifference: sums.max,
    meanDifference: sums.values === 0 ? 0 : sums.total / sums.values,
    topAgreement: sums.positions === 0 ? 1 : sums.agreed / sums.positions,
    examples: sums.examples,
    trainedTokens: sums.tokens,
    checkpointLoss: sums.tokens === 0 ? 0 : sums.wanted / sums.tokens,
    importedLoss: sums.tokens === 0 ? 0 : sums.found / sums.tokens,
  };
}

/** Why a model with these figures must not be served, as a sentence; null when it may. */
export function importProblem(check: ImportCheck): string | null {
  const limit = limits[check.precision];
  if (limit === undefined) return null;
  const { maxDifference, topAgreement, checkpointLoss, importedLoss } = check;
  const beyond: string[] = [];
  // NaN is beyond everything.
  if (!(maxDifference <= limit.maxDifference)) {
    beyond.push(`logits differ by up to ${maxDifference.toPrecision(3)} (at most ${limit.maxDifference})`);
  }
  if (!(topAgreement >= limit.topAgreement)) {
    beyond.push(
      `${(topAgreement * 100).toFixed(1)} % agree on the best token (at least ${limit.topAgreement * 100} %)`,
    );
  }
  if (!(importedLoss - checkpointLoss <= limit.lossIncrease)) {
    const found = (importedLoss - checkpointLoss).toFixed(4);
    beyond.push(`the loss is higher by ${found} nats a token (at most ${limit.lossIncrease})`);
  }
  if (beyond.length === 0) return null;
  return `the imported model does not compute what the checkpoint computes: ${beyond.join("; ")}`;
}

interface Sums {
  positions: number;
  max: number;
  total: number;
  values: number;
  agreed: number;
  examples: number;
  tokens: number;
  wanted: number;
  found: number;
}

async function compareExample(
  decoder: Decoder,
  { ids, labels, logits, lossSum, trainedTokens }: ReferenceExample,
  sums: Sums,
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < ids.length; from += STEP_TOKENS) {
    signal.throwIfAborted();
    const step = ids.slice(from, from + STEP_TOKENS);
    const rows = step.map((_, row) => row);
    await decoder.compute(0, step, from, rows);
    // A position speaks of the token behind it; the last of all speaks of nothing.
    const targets = rows.map((row) => ids[from + row + 1] ?? 0);
    const probabilities = await decoder.head.logProbabilities(targets);
    for (const row of rows) {
      const label = labels[from + row + 1];
      if (label !== undefined && label >= 0) sums.found -= probabilities[row] ?? Number.NaN;
      const wanted = logits[from + row];
      if (wanted !== undefined) compareRow(wanted, await decoder.head.readRow(row), sums);
    }
  }
  sums.examples += 1;
  sums.tokens += trainedTokens;
  sums.wanted += lossSum;
}

function compareRow(wanted: Float32Array, found: Float32Array, sums: Sums): void {
  const shift = mean(found) - mean(wanted);
  for (const [index, value] of wanted.entries()) {
    const difference = Math.abs((found[index] ?? Number.NaN) - value - shift);
    if (!(difference <= sums.max)) sums.max = difference;
    sums.total += difference;
  }
  sums.values += wanted.length;
  sums.positions += 1;
  if (best(wanted) === best(found)) sums.agreed += 1;
}

function mean(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

function best(values: Float32Array): number {
  let found = 0;
  for (let index = 1; index < values.length; index++) {
    if ((values[index] ?? 0) > (values[found] ?? 0)) found = index;
  }
  return found;
}
