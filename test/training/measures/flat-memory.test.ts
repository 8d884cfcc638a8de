import { hash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Distribution, percentile } from "../../../training/measures/distribution.ts";
import { mix32 } from "../../../training/measures/hashing.ts";
import { estimateJaccard, SIGNATURE_LENGTH } from "../../../training/measures/min-hash.ts";
import { NearIndex } from "../../../training/measures/near-index.ts";
import { NumberList } from "../../../training/measures/number-list.ts";
import { SeenTexts } from "../../../training/measures/seen-texts.ts";

it("texts are numbered as a map of their digests would number them, however many there are", () => {
  const seen = new SeenTexts();
  const numbers = new Map<string, number>();
  let wrong = 0;
  for (let step = 0; step < 60_000; step += 1) {
    const text = `text ${mix32(step) % 40_000}`;
    const digest = hash("sha256", text);
    const known = numbers.get(digest);
    const expected = { number: known ?? numbers.size, isNew: known === undefined };
    if (known === undefined) numbers.set(digest, numbers.size);
    const { number, isNew } = seen.see(text);
    if (number !== expected.number || isNew !== expected.isNew) wrong += 1;
  }
  expect(wrong).toBe(0);
  expect(seen.size).toBe(numbers.size);
});

it("a list of numbers holds what an array would, over the borders of its pieces", () => {
  const list = new NumberList((length) => new Float64Array(length));
  const array: number[] = [];
  for (let index = 0; index < 50_000; index += 1) {
    list.push(index / 3);
    array.push(index / 3);
  }
  for (const index of [0, 63, 64, 16_383, 16_384, 40_000]) {
    list.set(index, -index);
    array[index] = -index;
  }
  expect(list.length).toBe(array.length);
  expect(array.every((value, index) => list.at(index) === value)).toBe(true);
});

/** Signatures of three values, so that many share a band and some are nearly the same. */
const signatures = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 40 }), fc.integer()).map(([base, changed, seed]) =>
    Uint32Array.from({ length: SIGNATURE_LENGTH }, (_, at) => {
      const isChanged = mix32(seed ^ at) % 128 < changed;
      return mix32(base * 1000 + at) + (isChanged ? 1 + (mix32(seed + at) % 2) : 0);
    }),
  ),
  { maxLength: 400, size: "max" },
);

const sharesBand = (a: Uint32Array, b: Uint32Array, band: number) =>
  a.subarray(6 * band, 6 * band + 6).every((value, at) => value === b[6 * band + at]);

function expectedFor(signature: Uint32Array, kept: readonly Uint32Array[]): number | null {
  for (let band = 0; band < 21; band += 1) {
    const found = kept.findLastIndex(
      (other) => sharesBand(signature, other, band) && estimateJaccard(signature, other) >= 0.8,
    );
    if (found !== -1) return found;
  }
  return null;
}

it("a near signature is found as by comparing with every one that shares a band, latest first", () => {
  let near = 0;
  fc.assert(
    fc.property(signatures, (all) => {
      const index = new NearIndex();
      const kept: Uint32Array[] = [];
      const wrong: number[] = [];
      for (const [at, signature] of all.entries()) {
        const expected = expectedFor(signature, kept);
        if (index.find(signature) !== expected) wrong.push(at);
        if (expected !== null) near += 1;
        // Near ones are kept now and then, so that there are several to choose from.
        if (expected !== null && at % 3 > 0) continue;
        index.add(signature);
        kept.push(signature);
      }
      expect(wrong).toEqual([]);
      expect(index.size).toBe(kept.length);
    }),
    { numRuns: 15 },
  );
  expect(near).toBeGreaterThan(100);
});

it("percentiles are those of all values sorted, whether these are whole, halves or neither", () => {
  const value = fc.oneof(
    fc.integer({ min: -20, max: 20 }),
    fc.integer({ min: -20, max: 20 }).map((twice) => twice / 2),
    fc.double({ min: -20, max: 20, noNaN: true }),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (values) => {
      const distribution = new Distribution();
      for (const each of values) distribution.add(each);
      const sorted = values.toSorted((a, b) => a - b);
      const { p10, p25, p90, p99, min, max } = distribution.summary();
      const expected = [0.1, 0.25, 0.9, 0.99, 0, 1].map((share) => percentile(sorted, share)! + 0);
      expect([p10, p25, p90, p99, min, max].map((each) => each! + 0)).toEqual(expected);
      const edges = [-10, -0.5, 0, 3.25];
      const counts = edges.map(
        (edge, at) =>
          values.filter((each) => each >= edge && each < (edges[at + 1] ?? Number.POSITIVE_INFINITY)).length,
      );
      expect(distribution.countsBetween(edges)).toEqual(counts);
    }),
  );
});
