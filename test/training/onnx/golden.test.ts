// Losses, gradients and a few optimizer steps of every architecture are those that PyTorch computes.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readJsonObject } from "../../../runtime/importer/json.ts";
import { AdamW } from "../../../training/onnx/adamw.ts";
import { RECORDED, recordedFolder } from "../../support/checkpoints.ts";
import { gradientErrors, recordedBatch as batch, recordedLosses } from "./recorded-gradients.ts";
import { openTestNetwork } from "./test-network.ts";

const seed = 1 / batch.targets.length;

describe.each(RECORDED)("%s", (name) => {
  const { loss_sum: lossSum, losses, norms } = recordedLosses(name);

  test.each([false, true])("loss and gradients, checkpointing %j", async (isCheckpointing) => {
    const network = await openTestNetwork(recordedFolder(name), { isCheckpointing });
    const found = await network.accumulate(batch, seed, true);
    expect(Math.abs(found - lossSum) / lossSum).toBeLessThan(1e-6);
    expect(await network.lossOf(batch)).toBeCloseTo(lossSum, 3);
    for (const [tensor, error] of await gradientErrors(network, name)) {
      expect({ tensor, error }).toSatisfy((one: { error: number }) => one.error < 1e-5);
    }
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
