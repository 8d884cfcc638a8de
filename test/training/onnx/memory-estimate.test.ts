// The estimate is near what was measured (docs/training.md), grows with what needs memory, and refuses with advice.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { DecoderConfig } from "../../../runtime/importer/config.ts";
import { type BatchSize, estimateMemory, memoryProblem } from "../../../training/onnx/memory-estimate.ts";
import { adapterParameters, networkParameters, totalValues } from "../../../training/onnx/parameters.ts";

const pair: DecoderConfig = {
  architecture: "llama",
  layers: 6,
  hiddenSize: 192,
  intermediateSize: 512,
  heads: 6,
  kvHeads: 3,
  headDim: 32,
  vocabSize: 4096,
  maxPositions: 1024,
  slidingWindow: null,
  rmsNormEpsilon: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: { kind: "none" },
  isHeadTied: true,
  hasQkvBias: false,
  hasOutputBias: false,
  hasMlpBias: false,
  hasQkNorm: false,
};
const smol = {
  ...pair,
  layers: 30,
  hiddenSize: 576,
  intermediateSize: 1536,
  heads: 9,
  headDim: 64,
  vocabSize: 49_152,
};

const billion = {
  ...pair,
  layers: 16,
  hiddenSize: 2048,
  intermediateSize: 8192,
  heads: 32,
  kvHeads: 8,
  headDim: 64,
  vocabSize: 128_256,
};

function estimate(
  config: DecoderConfig,
  rank: number | null,
  isCheckpointing: boolean,
  batch: BatchSize,
  device: "cpu" | "cuda" = "cpu",
): number {
  const lora = rank === null ? null : { rank, alpha: 32 };
  const whole = networkParameters(config);
  const trainedValues = totalValues(lora === null ? whole : adapterParameters(config, lora));
  const frozenValues = lora === null ? 0 : totalValues(whole);
  const values = { trainedValues, frozenValues, packedBytes: 0, largestPackedValues: 0 };
  return estimateMemory(config, { ...values, device, lora, isCheckpointing }, [batch]).totalBytes;
}

const batchOf = (sequences: number, tokens: number, share: number) => ({
  sequences,
  tokens,
  trainedTokens: sequences * tokens * share,
});

test.each([
  // Peak of the process in megabytes, by `npm run bench:train`'s trainer.
  [pair, null, false, batchOf(16, 256, 1), 963],
  [pair, null, true, batchOf(16, 256, 1), 619],
  [pair, null, false, batchOf(4, 1024, 1), 1610],
  [pair, null, true, batchOf(4, 1024, 1), 858],
  [pair, null, false, batchOf(64, 256, 0.4), 3353],
  [pair, 16, false, batchOf(16, 256, 0.4), 783],
  [pair, 16, false, batchOf(4, 1024, 0.4), 1422],
  [pair, 16, true, batchOf(4, 1024, 0.4), 659],
  [smol, 16, false, batchOf(2, 512, 0.4), 2898],
  [smol, 16, true, batchOf(2, 512, 0.4), 1292],
])(
  "is at most a quarter above what was measured, and hardly below",
  (config, rank, isCheckpointing, batch, measured) => {
    const ratio = estimate(config, rank, isCheckpointing, batch) / 1e6 / measured;
    expect(ratio).toBeGreaterThan(0.95);
    expect(ratio).toBeLessThan(1.26);
  },
);

test.each([
  // Megabytes of an H200's memory, by `npm run bench:train -- --device cuda`.
  [pair, null, false, batchOf(16, 256, 1), 4721],
  [smol, 16, false, batchOf(2, 512, 0.4), 7478],
  [smol, null, false, batchOf(2, 512, 1), 9370],
  [billion, 16, false, batchOf(8, 512, 0.4), 30_048],
  [billion, 16, true, batchOf(8, 512, 0.4), 15_737],
])("on a card as well", (config, rank, isCheckpointing, batch, measured) => {
  const ratio = estimate(config, rank, isCheckpointing, batch, "cuda") / 1e6 / measured;
  expect(ratio).toBeGreaterThan(0.95);
  expect(ratio).toBeLessThan(1.26);
});

test("longer and larger batches need more, computing twice needs less", () => {
  const size = fc.integer({ min: 1, max: 64 });
  fc.assert(
    fc.property(size, size, fc.boolean(), (sequences, tokens, isCheckpointing) => {
      const of = (more: number, longer: number) => estimate(pair, null, isCheckpointing, batchOf(more, longer, 0.5));
      const base = of(sequences, tokens);
      expect(of(sequences + 1, tokens)).toBeGreaterThan(base);
      expect(of(sequences, tokens + 1)).toBeGreaterThan(base);
      const long = batchOf(sequences, tokens, 0.5);
      expect(estimate(pair, null, true, long)).toBeLessThan(estimate(pair, null, false, long));
    }),
  );
});

test("what does not fit is a sentence with both sizes and what would help", () => {
  const large = { stateBytes: 1e9, passBytes: 2e9, totalBytes: 3.15e9 };
  expect(memoryProblem(large, 3.2e9)).toBe(null);
  expect(memoryProblem(large, 3e9)).toBe(
    "the training needs about 3.1 GB of memory and 3.0 GB are free: lower --batch-tokens or --context, " +
      "take --gradient-checkpointing or --method lora, or start it with --ignore-memory",
  );
});
