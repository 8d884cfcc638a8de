import { describe, expect, it } from "vitest";
import { philox4x32, uniform } from "../../../runtime/engine/random.ts";

// Known-answer vectors of the algorithm's authors (Random123, kat_vectors: philox4x32 10).
const VECTORS: [counter: [number, number, number, number], key: [number, number], out: number[]][] = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

describe("philox4x32", () => {
  it.each(VECTORS)("gives the authors' block for counter %j and key %j", (counter, key, out) => {
    expect(philox4x32(counter, key)).toEqual(out);
  });
});

describe("uniform", () => {
  it("is a function of seed, choice and index alone", () => {
    expect(uniform(7, 0, 3)).toBe(uniform(7, 0, 3));
    expect(new Set([uniform(7, 0, 3), uniform(7, 0, 4), uniform(7, 1, 3), uniform(8, 0, 3)]).size).toBe(4);
  });

  it("tells negative seeds and seeds above 32 bits apart", () => {
    const seeds = [1, -1, 2 ** 32 + 1, -(2 ** 32) + 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    expect(new Set(seeds.map((seed) => uniform(seed, 0, 0))).size).toBe(seeds.length);
  });

  it("fills [0, 1) evenly", () => {
    const buckets = Array.from({ length: 16 }, () => 0);
    const draws = 32_000;
    for (let index = 0; index < draws; index += 1) {
      const value = uniform(42, 0, index);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(1);
      buckets[Math.floor(value * 16)]! += 1;
    }
    const expected = draws / 16;
    const chiSquare = buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(37.7); // 99.9 % quantile at 15 degrees of freedom
  });
});
