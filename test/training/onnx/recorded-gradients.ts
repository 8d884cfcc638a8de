// What PyTorch computed for the small checkpoints in test/fixtures: a batch, its losses and every gradient. It runs no network itself.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors } from "../../../runtime/importer/safetensors.ts";
import { batchOf } from "../../../training/onnx/batch.ts";
import type { Network } from "../../../training/onnx/network.ts";
import { valueCount } from "../../../training/onnx/parameters.ts";

const folder = join(import.meta.dirname, "../../fixtures/gradients");

export interface RecordedLosses {
  /** Of the batch. */
  readonly loss_sum: number;
  /** Before each of a few optimizer steps, a trained token. */
  readonly losses: readonly number[];
  readonly norms: readonly number[];
}

interface RecordedFile {
  readonly batch: { readonly input_ids: readonly number[][]; readonly labels: readonly number[][] };
  readonly models: Readonly<Record<string, RecordedLosses>>;
}

const recorded = JSON.parse(await readFile(join(folder, "recorded.json"), "utf8")) as RecordedFile;

export const recordedBatch = batchOf(
  recorded.batch.input_ids.map((ids, row) => {
    const labels = recorded.batch.labels[row] ?? [];
    const trainedTokens = labels.slice(1).filter((label) => label >= 0).length;
    return { id: `${row}`, ids: Int32Array.from(ids), labels: Int32Array.from(labels), trainedTokens };
  }),
  0,
);

export function recordedLosses(name: string): RecordedLosses {
  const losses = recorded.models[name];
  if (losses === undefined) throw new Error(`nothing was recorded of ${name}`);
  return losses;
}

/** By tensor, how far the network's gradients are from the recorded ones, in the norm of the whole tensor. */
export async function gradientErrors(network: Network, name: string): Promise<ReadonlyMap<string, number>> {
  const file = await openSafetensors(join(folder, `${name}.safetensors`));
  const errors = new Map([...file.tensors.keys()].map((tensor) => [tensor, Number.NaN]));
  for (const parameter of network.gradients.layout.parameters) {
    const tensor = file.tensors.get(parameter.name);
    if (tensor === undefined) throw new Error(`no gradient of ${parameter.name} was recorded`);
    const [expected, found] = [0, 0].map(() => new Float32Array(valueCount(parameter))) as [Float32Array, Float32Array];
    await file.readValues(tensor, 0, expected);
    await network.gradients.read(parameter, 0, found);
    errors.set(parameter.name, relativeError(found, expected));
  }
  await file.close();
  return errors;
}

function relativeError(found: Float32Array, expected: Float32Array): number {
  const norm = (of: (index: number) => number) =>
    Math.sqrt(expected.reduce((sum, _, index) => sum + of(index) ** 2, 0));
  return norm((index) => (found[index] ?? Number.NaN) - expected[index]!) / norm((index) => expected[index]!);
}
