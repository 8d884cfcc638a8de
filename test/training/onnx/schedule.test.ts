// The order of batches: a function of seed and epoch, every example once an epoch, no batch larger than asked for.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { learningRateOf } from "../../../training/onnx/learning-rate.ts";
import { batchesOf, Schedule } from "../../../training/onnx/schedule.ts";

const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 1200 });
const budget = fc.integer({ min: 1, max: 400 });
const shuffling = fc.option(fc.record({ seed: fc.nat(), epoch: fc.nat({ max: 9 }) }));

test("batches hold every example once, and with padding no more tokens than the budget unless it is one example", () => {
  fc.assert(
    fc.property(lengths, budget, shuffling, (all, tokens, order) => {
      const batches = batchesOf(all, tokens, order);
      expect(batches.flat().toSorted((a, b) => a - b)).toEqual([...all.keys()]);
      for (const batch of batches) {
        const longest = Math.max(...batch.map((index) => all[index] ?? 0));
        expect(batch.length === 1 || longest * batch.length <= tokens).toBe(true);
      }
      expect(batchesOf(all, tokens, order)).toEqual(batches);
    }),
    { numRuns: 50 },
  );
});

test("without an order the batches go from short to long", () => {
  expect(batchesOf([5, 1, 4, 2, 3], 6, null)).toEqual([[1, 3], [4], [2], [0]]);
});

test("a step's batches are the same whoever asks, and whatever was asked before", () => {
  fc.assert(
    fc.property(lengths, budget, fc.integer({ min: 1, max: 4 }), fc.nat(), (all, tokens, perStep, seed) => {
      const one = new Schedule(all, tokens, perStep, seed);
      const steps = Array.from({ length: 2 * one.stepsPerEpoch + 1 }, (_, step) => one.batches(step));
      for (const batches of steps) {
        expect(batches.length).toBeGreaterThan(0);
        expect(batches.length).toBeLessThanOrEqual(perStep);
      }
      const last = steps.length - 1;
      expect(new Schedule(all, tokens, perStep, seed).batches(last)).toEqual(steps[last]);
      // The first epoch is whole.
      const first = steps.slice(0, one.stepsPerEpoch).flat(2);
      expect(first.toSorted((a, b) => a - b)).toEqual([...all.keys()]);
    }),
    { numRuns: 20 },
  );
});

test("seeds and epochs have orders of their own", () => {
  const all = Array.from({ length: 50 }, (_, at) => 1 + (at % 10));
  const order = (seed: number, epoch: number) => batchesOf(all, 20, { seed, epoch });
  expect(order(1, 0)).not.toEqual(order(2, 0));
  expect(order(1, 0)).not.toEqual(order(1, 1));
});

test("the learning rate rises in a line and falls along half a cosine", () => {
  const settings = { learningRate: 2, minLearningRateRatio: 0.1, warmup: 0.25 };
  const rates = Array.from({ length: 12 }, (_, step) => learningRateOf(settings, step, 12));
  const expected = [2 / 3, 4 / 3, 2, 2];
  for (const [step, rate] of expected.entries()) expect(rates[step]).toBeCloseTo(rate, 12);
  expect(learningRateOf(settings, 7.5, 12)).toBeCloseTo(2 * (0.1 + 0.9 * 0.5), 12);
  expect(learningRateOf(settings, 12, 12)).toBeCloseTo(0.2, 12);
  expect(learningRateOf({ ...settings, warmup: 0 }, 0, 12)).toBe(2);
});
