// Samples of seed sets: shares as published, by chance but the same every time.
import fc from "fast-check";
import { expect, test } from "vitest";
import { apportion, sampleSeeds } from "../../../../server/selfplay/seed-sets/sample.ts";
import type { SeedItem } from "../../../../server/selfplay/simulators/simulator.ts";

const itemsOf = (categories: readonly (string | null)[]): SeedItem[] =>
  categories.map((category, index) => ({ id: String(index), row: index + 1, category, prompt: "p", answer: null }));

test("UltraChat's sectors share 10,000 rows as published", () => {
  expect(apportion([577_819, 562_943, 327_590], 10_000)).toEqual([3935, 3834, 2231]);
});

test("shares are whole, never more than there are, within one of the exact share, and sum to the size", () => {
  const counts = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(counts, fc.integer({ min: 0, max: 5000 }), (list, size) => {
      const total = list.reduce((sum, count) => sum + count, 0);
      const shares = apportion(list, size);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(Math.min(size, total));
      for (const [index, share] of shares.entries()) {
        const count = list[index] ?? 0;
        expect(share).toBeLessThanOrEqual(count);
        const exact = total === 0 ? 0 : (count * Math.min(size, total)) / total;
        expect(Math.abs(share - exact)).toBeLessThan(1);
      }
    }),
  );
});

test("a sample has each category by its share and no row twice", () => {
  const items = itemsOf(
    Array.from({ length: 100 }, (_, index) => (index % 10 < 7 ? "a" : index % 10 < 9 ? "b" : null)),
  );
  const sample = sampleSeeds(items, 20, 125);
  const counted = Map.groupBy(sample, ({ category }) => category);
  expect([counted.get("a")?.length, counted.get("b")?.length, counted.get(null)?.length]).toEqual([14, 4, 2]);
  expect(new Set(sample.map(({ row }) => row)).size).toBe(20);
});

test("equal seeds give equal samples, other seeds others", () => {
  const items = itemsOf(Array.from({ length: 50 }, () => null));
  const rows = (seed: number) => sampleSeeds(items, 10, seed).map(({ row }) => row);
  expect(rows(125)).toEqual(rows(125));
  expect(rows(125)).not.toEqual(rows(126));
  expect(rows(125)).not.toEqual(rows(125).toSorted((a, b) => a - b));
});

test("asking for more than there are gives all", () => {
  expect(sampleSeeds(itemsOf(["a", "b", "b"]), 10, 1)).toHaveLength(3);
  expect(sampleSeeds([], 10, 1)).toEqual([]);
});
