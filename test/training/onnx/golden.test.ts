// Losses, gradients and a few optimizer steps of every architecture are those that PyTorch computes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readJsonObject } from "../../../runtime/importer/json.ts";
import { openSafetensors } from "../../../runtime/importer/safetensors.ts";
import { AdamW } from "../../../training/onnx/adamw.ts";
import { batchOf } from "../../../training/onnx/batch.ts";
import { valueCount } from "../../../training/onnx/parameters.ts";
import { RECORDED, recordedFolder } from "../../support/checkpoints.ts";
import { openTestNetwork } from "./test-network.ts";

const folder = join(import.meta.dirname, "../../fixtures/gradients");

interface RecordedFile {
  readonly batch: { readonly input_ids: readonly number[][]; readonly labels: readonly number[][] };
  readonly models: Readonly<
    Record<string, { readonly loss_sum: number; readonly losses: number[]; readonly norms: number[] }>
  >;
}

const recorded = JSON.parse(await readFile(join(folder, "recorded.json"), "utf8")) as RecordedFile;

const examples = recorded.batch.input_ids.map((ids, row) => {
  const labels = recorded.batch.labels[row] ?? [];
  const trainedTokens = labels.slice(1).filter((label) => label >= 0).length;
  return { id: `${row}`, ids: Int32Array.from(ids), labels: Int32Array.from(labels), trainedTokens };
});
const batch = batchOf(examples, 0);
const seed = 1 / batch.targets.length;

describe.each(RECORDED)("%s", (name) => {
  const { loss_sum: lossSum, losses, norms } = recorded.models[name] ?? { loss_sum: 0, losses: [], norms: [] };

  test.each([false, true])("loss and gradients, checkpointing %j", async (isCheckpointing) => {
    const network = await openTestNetwork(recordedFolder(name), { isCheckpointing });
    const found = await network.accumulate(batch, seed, true);
    expect(Math.abs(found - lossSum) / lossSum).toBeLessThan(1e-6);
    expect(await network.lossOf(batch)).toBeCloseTo(lossSum, 3);
    const file = await openSafetensors(join(folder, `${name}.safetensors`));
    const { parameters } = network.gradients.layout;
    expect(parameters.map((parameter) => parameter.name).toSorted()).toEqual([...file.tensors.keys()].toSorted());
    for (const parameter of parameters) {
      const expected = new Float32Array(valueCount(parameter));
      const own = new Float32Array(valueCount(parameter));
      await file.readValues(file.tensors.get(parameter.name)!, 0, expected);
      await network.gradients.read(parameter, 0, own);
      expect({ name: parameter.name, error: relativeError(own, expected) }).toSatisfy(
        ({ error }: { error: number }) => error < 1e-5,
      );
    }
    await file.close();
  });

  test("optimizer steps with clipping and decay", async () => {
    const network = await openTestNetwork(recordedFolder(name), {});
    const optimizer = await AdamW.open(network.home, network.trained, network.gradients);
    for (const [index, loss] of losses.entries()) {
      const found = (await network.accumulate(batch, seed, true)) * seed;
      expect(Math.abs(found - loss) / loss).toBeLessThan(1e-5);
      const norm = await optimizer.gradientNorm();
      expect(Math.abs(norm - (norms[index] ?? 0)) / norm).toBeLessThan(1e-4);
      await optimizer.update(norm, { step: index + 1, rate: 1e-3, decay: 0.1, clip: 1 });
    }
    optimizer.release();
  });
});

test("the recorded batch is not all in the loss, and one sequence is padded", async () => {
  expect(batch).toMatchObject({ sequences: 2, tokens: 23 });
  expect(batch.targets.length).toBeLessThan(30);
  expect((await readJsonObject(join(recordedFolder("llama3"), "config.json")))["pad_token_id"]).toBe(0);
});

/** In the norm of the whole tensor. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  const norm = (of: (index: number) => number) =>
    Math.sqrt(expected.reduce((sum, _, index) => sum + of(index) ** 2, 0));
  return norm((index) => (found[index] ?? Number.NaN) - expected[index]!) / norm((index) => expected[index]!);
}
