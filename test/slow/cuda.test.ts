// On a machine with an NVIDIA card and the CUDA provider (docs/devices.md): it trains as PyTorch does on a CPU, and its free memory is known.
import { afterAll, describe, expect, it } from "vitest";
import { freeCardBytes } from "../../runtime/ort/card-memory.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { AdamW } from "../../training/onnx/adamw.ts";
import { deviceProblem } from "../../training/onnx/device-check.ts";
import { RECORDED, recordedFolder } from "../support/checkpoints.ts";
import { gradientErrors, recordedBatch as batch, recordedLosses } from "../training/onnx/recorded-gradients.ts";
import { openTestNetwork } from "../training/onnx/test-network.ts";

const environment = openEnvironment({ threads: 1, isSpinning: false });
afterAll(() => environment.release());

function hasCuda(): boolean {
  try {
    chooseDevice(environment.api, "cuda", null, () => {});
    return true;
  } catch (error) {
    console.log(`left out: ${(error as Error).message}`);
    return false;
  }
}

describe.runIf(hasCuda())("a card", { timeout: 120_000 }, () => {
  it("passes the check that stands before every training", async () => {
    const cuda = chooseDevice(environment.api, "cuda", null, () => {});
    expect(await deviceProblem(environment, cuda)).toBe(null);
  });

  it("says how much of its memory is free", () => {
    expect(freeCardBytes()).toBeGreaterThan(1e9);
  });

  it.each(RECORDED)("gives PyTorch's losses, gradients and optimizer steps for %s", async (name) => {
    const seed = 1 / batch.targets.length;
    const { loss_sum: lossSum, losses, norms } = recordedLosses(name);
    const network = await openTestNetwork(recordedFolder(name), { device: "cuda" });
    const found = await network.accumulate(batch, seed, true);
    expect(Math.abs(found - lossSum) / lossSum).toBeLessThan(1e-5);
    const worst = Math.max(...(await gradientErrors(network, name)).values());
    console.log(`${name}: largest relative error of a gradient ${worst.toExponential(1)}`);
    expect(worst).toBeLessThan(1e-4);
    const optimizer = await AdamW.open(network.home, network.trained, network.gradients);
    for (const [index, loss] of losses.entries()) {
      const own = (await network.accumulate(batch, seed, true)) * seed;
      expect(Math.abs(own - loss) / loss).toBeLessThan(1e-4);
      const norm = await optimizer.gradientNorm();
      expect(Math.abs(norm - (norms[index] ?? 0)) / norm).toBeLessThan(1e-3);
      await optimizer.update(norm, { step: index + 1, rate: 1e-3, decay: 0.1, clip: 1 });
    }
    optimizer.release();
  });
});
