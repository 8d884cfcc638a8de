// What is not in the loss changes nothing, to the bit; what begins as nothing computes nothing; computed twice is the same.
import { describe, expect, test } from "vitest";
import { batchOf } from "../../../training/onnx/batch.ts";
import { IGNORED } from "../../../training/onnx/examples.ts";
import type { Batch, Network } from "../../../training/onnx/network.ts";
import { valueCount } from "../../../training/onnx/parameters.ts";
import { RECORDED, recordedFolder } from "../../support/checkpoints.ts";
import { openTestNetwork } from "./test-network.ts";

function example(ids: readonly number[], trained: (at: number) => boolean) {
  const labels = Int32Array.from(ids, (id, at) => (trained(at) ? id : IGNORED));
  return { id: "", ids: Int32Array.from(ids), labels, trainedTokens: labels.filter((label) => label >= 0).length };
}

const long = Array.from({ length: 30 }, (_, at) => 1 + ((7 * at * at + 3) % 63));
const short = Array.from({ length: 17 }, (_, at) => 1 + ((5 * at * at + 11) % 63));
const middle = (at: number) => at > 3 && at < 14;

/** Loss and all gradients, one behind the other. */
async function passOf(
  network: Network,
  batch: Batch,
  isFirst = true,
): Promise<{ loss: number; gradients: Float32Array }> {
  const loss = await network.accumulate(batch, 1 / batch.targets.length, isFirst);
  const { parameters } = network.gradients.layout;
  const gradients = new Float32Array(parameters.reduce((sum, parameter) => sum + valueCount(parameter), 0));
  let first = 0;
  for (const parameter of parameters) {
    await network.gradients.read(parameter, 0, gradients.subarray(first, (first += valueCount(parameter))));
  }
  return { loss, gradients };
}

describe.each(["smollm2", "qwen3"] as const)("%s", (name) => {
  test("what stands in the padding changes no bit", async () => {
    const network = await openTestNetwork(recordedFolder(name), {});
    const examples = [example(long, middle), example(short, middle)];
    const expected = await passOf(network, batchOf(examples, 0));
    for (const padId of [1, 42, 63]) expect(await passOf(network, batchOf(examples, padId))).toEqual(expected);
  });

  test("a token behind the last one in the loss changes no bit", async () => {
    const network = await openTestNetwork(recordedFolder(name), {});
    const expected = await passOf(network, batchOf([example(long, middle), example(short, middle)], 0));
    const changed = short.with(16, 1 + (short[16] ?? 0));
    expect(await passOf(network, batchOf([example(long, middle), example(changed, middle)], 0))).toEqual(expected);
  });

  test("a token before it does", async () => {
    const network = await openTestNetwork(recordedFolder(name), {});
    const expected = await passOf(network, batchOf([example(short, middle)], 0));
    const changed = await passOf(network, batchOf([example(short.with(2, 33), middle)], 0));
    expect(changed.loss).not.toBe(expected.loss);
  });

  test("passes are the same every time, and computed twice instead of kept they are nearly so", async () => {
    const batch = batchOf([example(long, middle), example(short, middle)], 0);
    const kept = await openTestNetwork(recordedFolder(name), {});
    const expected = await passOf(kept, batch);
    expect(await passOf(kept, batch)).toEqual(expected);
    const twice = await passOf(await openTestNetwork(recordedFolder(name), { isCheckpointing: true }), batch);
    expect(twice.loss).toBe(expected.loss);
    expect(largestDifference(twice.gradients, expected.gradients)).toBeLessThan(1e-6);
  });

  test("passes that are added up are the sum of their gradients; a first one takes no notice of what was there", async () => {
    const network = await openTestNetwork(recordedFolder(name), { isAccumulating: true });
    const [one, other] = [batchOf([example(long, middle)], 0), batchOf([example(short, middle)], 0)];
    const first = await passOf(network, one);
    const second = await passOf(network, other);
    const both = await passOf(network, one, false);
    const sum = first.gradients.map((value, at) => value + (second.gradients[at] ?? 0));
    expect(largestDifference(both.gradients, sum)).toBeLessThan(1e-6);
    expect(await passOf(network, one)).toEqual(first);
  });
});

test.each(RECORDED)("%s: adapters at their beginning have exactly the loss of the base", async (name) => {
  const batch = batchOf([example(long, middle), example(short, middle)], 0);
  const base = await openTestNetwork(recordedFolder(name), {});
  const adapted = await openTestNetwork(recordedFolder(name), { lora: { rank: 4, alpha: 8 } });
  const { loss, gradients } = await passOf(adapted, batch);
  expect(loss).toBe(await base.accumulate(batch, 1, true));
  expect(gradients.some((gradient) => gradient !== 0)).toBe(true);
});

describe.each([4, 8] as const)("a base in %j bits", (baseBits) => {
  const lora = { rank: 4, alpha: 8 };
  const batch = batchOf([example(long, middle), example(short, middle)], 0);

  test.each(["qwen2", "llama-bias"] as const)("%s computes what its unpacked matrices compute", async (name) => {
    const packed = await openTestNetwork(recordedFolder(name), { lora, baseBits });
    const whole = await openTestNetwork(recordedFolder(name), { lora });
    // The feed-forward part of llama-bias is 40 wide, no whole number of blocks: one of its matrices stays as it is.
    expect(packed.packed.parameters).toHaveLength(name === "qwen2" ? 14 : 12);
    const rounded = await whole.lossOf(batch);
    for (const parameter of packed.packed.parameters) {
      await whole.frozen.write(parameter, 0, await packed.packed.values(parameter));
    }
    // Some way from the beginning, where half of the gradients are zero.
    const adapter = packed.trained.layout.parameters.find(({ name: own }) => own.includes("lora_B"));
    if (adapter === undefined) throw new Error("there is no adapter");
    const moved = Float32Array.from({ length: valueCount(adapter) }, (_, at) => Math.sin(at) / 10);
    for (const network of [packed, whole]) await network.trained.write(adapter, 0, moved);
    const expected = await passOf(whole, batch);
    const found = await passOf(packed, batch);
    expect(Math.abs(found.loss - expected.loss) / expected.loss).toBeLessThan(1e-6);
    expect(largestDifference(found.gradients, expected.gradients)).toBeLessThan(1e-5);
    expect(found.loss).not.toBe(rounded);
  });
});

test("a batch without a token in the loss is refused", async () => {
  const network = await openTestNetwork(recordedFolder("smollm2"), {});
  const batch = batchOf([example(short, () => false)], 0);
  await expect(network.accumulate(batch, 1, true)).rejects.toThrow("A batch has no token in the loss.");
  await expect(network.lossOf(batch)).rejects.toThrow("A batch has no token in the loss.");
});

test("a network that was stopped computes no gradients any more", async () => {
  const network = await openTestNetwork(recordedFolder("smollm2"), {});
  const batch = batchOf([example(short, middle)], 0);
  network.terminate();
  await expect(network.accumulate(batch, 1, true)).rejects.toMatchObject({ code: "cancelled" });
});

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? Number.NaN))), 0);
}
