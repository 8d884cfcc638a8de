// Imported graphs against logits that Hugging Face transformers computed in float32 for the same checkpoints.
// Bounds of lossy precisions are root mean squares of the difference over that of the logits. Those of 4 bits are wide:
// random weights have no structure that survives rounding. That the rounded weights are used exactly is a test of its own.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ImportOptions } from "../../../runtime/importer/import-checkpoint.ts";
import { blockLayout, dequantizeRows, quantizeRows } from "../../../runtime/importer/quantize.ts";
import { decodeFloats } from "../../../runtime/importer/safetensors.ts";
import {
  copyOf,
  float32Tensor,
  importOptions,
  importQuietly,
  readSafetensors,
  RECORDED,
  recordedFolder,
  recordedLogits,
  safetensorsBytes,
  scratchFolder,
} from "../../support/checkpoints.ts";
import type { Recorded, TestTensor } from "../../support/checkpoints.ts";
import { openDecoderRun } from "../../support/decoder-run.ts";

const MAX_LENGTH = 64;
const scratch = await scratchFolder();

async function importRecorded(name: Recorded, id: string, change: Partial<ImportOptions>): Promise<string> {
  // The window that its sliding attention allows; the others were trained for as much or more.
  const options = importOptions(recordedFolder(name), scratch, { id, contextWindow: MAX_LENGTH, ...change });
  return importQuietly(options);
}

/** Logits of all positions of all prompts, each prompt in one run. */
async function prefillLogits(folder: string, prompts: readonly (readonly number[])[]): Promise<Float32Array[]> {
  const run = await openDecoderRun(folder, { maxLength: MAX_LENGTH });
  const logits: Float32Array[] = [];
  for (const prompt of prompts) {
    run.reset();
    logits.push(...(await run.feed([prompt])));
  }
  run.close();
  return logits;
}

/** The same checkpoint with every matrix rounded as the importer rounds it, in float32. */
async function roundedCheckpoint(name: Recorded, bits: 4 | 8): Promise<string> {
  const folder = await copyOf(name, scratch, `${name}-rounded-${bits}`);
  const files = (await readdir(folder)).filter((file) => file.endsWith(".safetensors"));
  for (const file of files) {
    const tensors = readSafetensors(await readFile(join(folder, file)));
    const rounded: Record<string, TestTensor> = {};
    for (const [tensor, { dtype, shape, bytes }] of Object.entries(tensors)) {
      const [rows = 0, columns = 1] = shape;
      const values = new Float32Array(rows * columns);
      if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") throw new Error(`${tensor} is ${dtype}`);
      decodeFloats(dtype, bytes, values);
      rounded[tensor] = float32Tensor(shape, shape.length === 2 ? round(values, rows, columns, bits) : values);
    }
    await writeFile(join(folder, file), safetensorsBytes(rounded));
  }
  return folder;
}

function round(values: Float32Array, rows: number, columns: number, bits: 4 | 8): Float32Array {
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits, 32);
  const packed = new Uint8Array(rows * bytesPerRow);
  const scales = new Float32Array(rows * blocksPerRow);
  quantizeRows(values, rows, columns, bits, 32, packed, scales);
  return dequantizeRows(packed, scales, rows, columns, bits, 32);
}

function largestDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((row, at) => Math.max(...row.map((value, i) => Math.abs(value - (b[at]?.[i] ?? NaN))))));
}

function relativeError(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let difference = 0;
  let size = 0;
  for (const [at, row] of b.entries()) {
    for (const [i, value] of row.entries()) {
      difference += ((a[at]?.[i] ?? NaN) - value) ** 2;
      size += value ** 2;
    }
  }
  return Math.sqrt(difference / size);
}

test("the graph's inputs and outputs are those that the engine binds", async () => {
  const folder = await importRecorded("smollm2", "contract", {});
  const run = await openDecoderRun(folder);
  const layers = ["0.key", "0.value", "1.key", "1.value"];
  const inputs = ["input_ids", "seqlens_k", "total_sequence_length", "logit_rows"];
  expect(run.inputNames).toEqual([...inputs, ...layers.map((part) => `past_key_values.${part}`)]);
  expect(run.outputNames.toSorted()).toEqual(["logits", ...layers.map((part) => `present.${part}`)]);
  // Bound over caller-owned memory, the names and shapes are accepted as they stand.
  expect(await run.feed([[1, 2, 3]], [2, 0])).toHaveLength(2);
  run.close();
});

describe.each(RECORDED)("%s", (name) => {
  test("float32 logits agree with transformers to 1e-4, in one prefill and token by token", async () => {
    const { prompts, logits } = await recordedLogits(name);
    const folder = await importRecorded(name, `${name}-float32`, {});
    expect(largestDifference(await prefillLogits(folder, prompts), logits)).toBeLessThan(1e-4);

    const run = await openDecoderRun(folder, { maxLength: MAX_LENGTH });
    const stepwise: Float32Array[] = [];
    for (const prompt of prompts) {
      run.reset();
      for (const id of prompt) stepwise.push(...(await run.feed([[id]])));
    }
    run.close();
    expect(largestDifference(stepwise, logits)).toBeLessThan(1e-4);
  });

  test("a prefill in pieces agrees with one prefill, and pieces whose logits nobody wants may return none", async () => {
    const { prompts, logits } = await recordedLogits(name);
    const prompt = prompts[1] ?? [];
    const run = await openDecoderRun(join(scratch, `${name}-float32`), { maxLength: MAX_LENGTH });
    expect(await run.feed([prompt.slice(0, 20)], [])).toEqual([]);
    const [last] = await run.feed([prompt.slice(20)], [prompt.length - 21]);
    run.close();
    expect(largestDifference([last ?? new Float32Array()], logits.slice(-1))).toBeLessThan(1e-4);
  });

  test.each([
    ["float16", { precision: "float16" }, 0.002],
    ["float32 with a float16 cache", { precision: "float32", kvPrecision: "float16" }, 0.001],
    ["int8", { precision: "int8" }, 0.035],
    ["int8 computing in float16", { precision: "int8", kvPrecision: "float16" }, 0.035],
    ["int8 in blocks of 16", { precision: "int8", blockSize: 16 }, 0.03],
    ["int8 in blocks wider than the hidden state", { precision: "int8", blockSize: 64 }, 0.035],
    ["int8 without rounded activations", { precision: "int8", accuracyLevel: 0 }, 0.025],
    ["int4", { precision: "int4" }, 0.35],
    ["int4 in blocks of 16, head in int8", { precision: "int4", blockSize: 16, headPrecision: "int8" }, 0.28],
    ["int4, head in float", { precision: "int4", headPrecision: "float" }, 0.3],
  ] as const)("%s stays within its bound", async (label, change, bound) => {
    const { prompts, logits } = await recordedLogits(name);
    const id = `${name}-${label.replaceAll(/[^a-z0-9]/g, "-")}`;
    const folder = await importRecorded(name, id, change);
    expect(relativeError(await prefillLogits(folder, prompts), logits)).toBeLessThan(bound);
  });
});

// Not those with widened heads: zeros in the output projection move the borders of its blocks.
describe.each(["llama3", "smollm2", "mistral", "qwen2"] as const)("%s", (name) => {
  test.each([4, 8] as const)("%i-bit products and lookups use the rounded weights exactly", async (bits) => {
    const { prompts } = await recordedLogits(name);
    const change = { precision: bits === 4 ? "int4" : "int8", accuracyLevel: 0 } as const;
    const quantized = await importRecorded(name, `${name}-exact-${bits}`, change);
    const source = await roundedCheckpoint(name, bits);
    const options = importOptions(source, scratch, { id: `${name}-reference-${bits}`, contextWindow: MAX_LENGTH });
    const expected = await prefillLogits(await importQuietly(options), prompts);
    expect(largestDifference(await prefillLogits(quantized, prompts), expected)).toBeLessThan(1e-4);
  });
});
