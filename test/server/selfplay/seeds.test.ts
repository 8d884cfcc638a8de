import fc from "fast-check";
import { expect, test } from "vitest";
import { randomRootSeed, turnSeed } from "../../../server/selfplay/seeds.ts";

const position = fc.record({
  dialogueIndex: fc.nat(),
  turn: fc.integer({ min: 1, max: 1000 }),
  role: fc.constantFrom("user" as const, "assistant" as const),
});

test("a turn's seed is a fixed function of root seed, dialogue, turn and role", () => {
  expect(turnSeed(7, { dialogueIndex: 0, turn: 1, role: "user" })).toBe(4001837520048675);
  expect(turnSeed(7, { dialogueIndex: 0, turn: 1, role: "assistant" })).toBe(7282200185637930);
  expect(turnSeed(7, { dialogueIndex: 0, turn: 2, role: "user" })).toBe(2026142029259790);
  expect(turnSeed(7, { dialogueIndex: 1, turn: 1, role: "user" })).toBe(3402985264285990);
  expect(turnSeed(-7, { dialogueIndex: 0, turn: 1, role: "user" })).toBe(618063204270563);
});

test("every derived seed is a safe integer that is not negative", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), position, (root, at) => {
      const seed = turnSeed(root, at);
      expect(Number.isSafeInteger(seed)).toBe(true);
      expect(seed).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("two positions never share a seed", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), position, position, (root, a, b) => {
      fc.pre(JSON.stringify(a) !== JSON.stringify(b));
      expect(turnSeed(root, a)).not.toBe(turnSeed(root, b));
    }),
  );
});

test("a random root seed is a safe integer and differs from the last one", () => {
  const seeds = Array.from({ length: 100 }, randomRootSeed);
  expect(seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)).toBe(true);
  expect(new Set(seeds).size).toBe(100);
});
