import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DuplicateIndex } from "../../../training/measures/duplicates.ts";
import { mix32, wordShingles } from "../../../training/measures/hashing.ts";
import { estimateJaccard, jaccard, minHash } from "../../../training/measures/min-hash.ts";

/** `count` words that depend on nothing but the seed; two seeds share none. */
const wordsOf = (seed: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `w${seed}x${mix32(index + 1)}`);

/** The text with the last `changed` of its words replaced: Jaccard of its shingles falls in proportion. */
const changeTail = (words: readonly string[], changed: number): string[] =>
  words.slice(0, words.length - changed).concat(wordsOf(987_654, changed));

const exactJaccard = (a: readonly string[], b: readonly string[]): number =>
  jaccard(new Set(wordShingles(a, 5)), new Set(wordShingles(b, 5)));

describe("near duplicates against exact Jaccard, over 2,000 pairs:", () => {
  let near = 0;
  let nearFound = 0;
  let clear = 0;
  let clearFound = 0;
  let far = 0;
  let farFound = 0;
  for (let pair = 0; pair < 2000; pair += 1) {
    const original = wordsOf(pair, 60 + (mix32(pair) % 200));
    const copy = changeTail(original, mix32(pair + 7) % Math.ceil(original.length / 2));
    const similarity = exactJaccard(original, copy);
    if (similarity === 1) continue;
    const index = new DuplicateIndex();
    index.add("original", original.join(" "));
    const isFound = index.add("copy", copy.join(" "))?.kind === "near";
    if (similarity >= 0.8) {
      near += 1;
      if (isFound) nearFound += 1;
    }
    if (similarity >= 0.9) {
      clear += 1;
      if (isFound) clearFound += 1;
    }
    if (similarity < 0.68) {
      far += 1;
      if (isFound) farFound += 1;
    }
  }

  it("at least 90 % of those of similarity 0.8 and more are found", () => {
    expect(near).toBeGreaterThan(300);
    expect(nearFound / near).toBeGreaterThan(0.9);
  });
  it("all but a few of those of similarity 0.9 and more are found", () => {
    expect(clear).toBeGreaterThan(150);
    expect(clearFound / clear).toBeGreaterThan(0.98);
  });
  it("hardly any of those under 0.68 are taken for one", () => {
    expect(far).toBeGreaterThan(300);
    expect(farFound / far).toBeLessThan(0.005);
  });
});

it("the estimate stays within four standard errors of exact Jaccard", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: 1, max: 199 }), (seed, common) => {
      const members = (from: number, count: number): number[] =>
        Array.from({ length: count }, (_, index) => mix32(mix32(seed) ^ (from + index)));
      const shared = members(0, common);
      const a = new Set([...shared, ...members(1000, 200 - common)]);
      const b = new Set([...shared, ...members(2000, 200 - common)]);
      const exact = jaccard(a, b);
      const error = Math.sqrt((exact * (1 - exact)) / 128);
      const estimate = estimateJaccard(minHash(Uint32Array.from(a)), minHash(Uint32Array.from(b)));
      expect(Math.abs(estimate - exact)).toBeLessThan(4.5 * error + 0.01);
    }),
    { seed: 20_261_121, numRuns: 200 },
  );
});

it("a text is an exact duplicate whatever its case, spacing and compatibility characters", () => {
  const index = new DuplicateIndex();
  expect(index.add("a", "How do I  fix\nﬁve tyres?")).toBeNull();
  expect(index.add("b", " how do i fix five TYRES? ")).toEqual({ kind: "exact", id: "a" });
});

it("a text leads to the one it repeats, among many", () => {
  const index = new DuplicateIndex();
  const texts = Array.from({ length: 400 }, (_, seed) => wordsOf(seed, 80));
  for (const [seed, words] of texts.entries()) expect(index.add(`${seed}`, words.join(" "))).toBeNull();
  for (const [seed, words] of texts.entries()) {
    expect(index.add(`${seed}'`, changeTail(words, 2).join(" "))).toEqual({ kind: "near", id: `${seed}` });
  }
});

it("texts shorter than a shingle are duplicates only as a whole", () => {
  const index = new DuplicateIndex();
  expect(index.add("a", "hello there")).toBeNull();
  expect(index.add("b", "hello you")).toBeNull();
  expect(index.add("c", "hello, there!")).toEqual({ kind: "near", id: "a" });
});

it("an exact copy of a near duplicate is an exact duplicate", () => {
  const index = new DuplicateIndex();
  const words = wordsOf(1, 100);
  const near = changeTail(words, 1).join(" ");
  index.add("a", words.join(" "));
  expect(index.add("b", near)?.kind).toBe("near");
  expect(index.add("c", near)).toEqual({ kind: "exact", id: "b" });
});
