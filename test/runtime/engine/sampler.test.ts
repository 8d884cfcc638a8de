import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SamplingParams } from "../../../runtime/chat-model.ts";
import { editLogits, needsFullRow, sampleRow, sampleTop } from "../../../runtime/engine/sampler.ts";
import type { TopCandidates } from "../../../runtime/engine/sampler.ts";

const plain: SamplingParams = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
  seed: 0,
};

function topOf(logits: Float32Array, count: number, temperature: number): TopCandidates {
  const ids = [...logits.keys()].toSorted((a, b) => logits[b]! - logits[a]! || a - b).slice(0, count);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit / temperature), 0);
  return { ids, logits: ids.map((id) => logits[id]!), count: ids.length, logSumExp: Math.log(sum) };
}

// The definition, written for clarity: the kept ids with their probabilities, best first.
function distribution(logits: Float32Array, params: SamplingParams): Map<number, number> {
  let rest = [...logits.keys()]
    .toSorted((a, b) => logits[b]! - logits[a]! || a - b)
    .map((id) => ({ id, p: Math.exp(logits[id]! / params.temperature) }));
  const normalize = () => {
    const sum = rest.reduce((total, { p }) => total + p, 0);
    rest = rest.map(({ id, p }) => ({ id, p: p / sum }));
  };
  if (params.topK > 0) rest = rest.slice(0, params.topK);
  normalize();
  if (params.topP < 1) {
    let sum = 0;
    rest = rest.filter(({ p }, index) => {
      const isKept = index === 0 || sum < params.topP;
      sum += p;
      return isKept;
    });
  }
  rest = rest.filter(({ p }, index) => index === 0 || p >= params.minP * rest[0]!.p);
  normalize();
  return new Map(rest.map(({ id, p }) => [id, p]));
}

const isNear = (a: number, b: number): boolean => Math.abs(a - b) < 1e-6;

// Where a cut falls exactly on a token, the order of additions decides whether it is kept.
function isOnTheEdge(logits: Float32Array, params: SamplingParams): boolean {
  const all = [...distribution(logits, { ...params, topP: 1, minP: 0 }).values()];
  let sum = 0;
  const sums = all.map((p) => (sum += p));
  const isAtTopP = params.topP < 1 && sums.some((value) => isNear(value, params.topP));
  return isAtTopP || (params.minP > 0 && all.some((p) => isNear(p, params.minP * all[0]!)));
}

const logitsArbitrary = fc
  .array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 2, maxLength: 40 })
  .map((values) => Float32Array.from(values));
const paramsArbitrary = fc.record({
  temperature: fc.constantFrom(0.3, 0.7, 1, 1.8),
  topP: fc.constantFrom(1, 0.95, 0.5, 0.1, 0),
  topK: fc.constantFrom(0, 1, 3, 10),
  minP: fc.constantFrom(0, 0.05, 0.4),
});

describe("sampleRow", () => {
  it("draws every token as often as the definition says", () => {
    fc.assert(
      fc.property(logitsArbitrary, paramsArbitrary, (logits, cut) => {
        const params = { ...plain, ...cut };
        fc.pre(!isOnTheEdge(logits, params));
        const expected = distribution(logits, params);
        const draws = 2000;
        const counts = new Map<number, number>();
        for (let index = 0; index < draws; index += 1) {
          const id = sampleRow(logits, params, (index + 0.5) / draws);
          counts.set(id, (counts.get(id) ?? 0) + 1);
        }
        for (const [id, count] of counts) expect(expected.has(id), `token ${id} (${count} times)`).toBe(true);
        for (const [id, p] of expected) expect(Math.abs((counts.get(id) ?? 0) / draws - p)).toBeLessThan(0.002);
      }),
      { numRuns: 60 },
    );
  });

  it("takes the first of equal maxima when greedy", () => {
    expect(sampleRow(Float32Array.from([0, 5, 5, 1]), { ...plain, temperature: 0 }, 0.9)).toBe(1);
  });

  it("keeps at least the best token however small the nucleus", () => {
    const logits = Float32Array.from([1, 4, 2]);
    expect(sampleRow(logits, { ...plain, topP: 0 }, 0.99)).toBe(1);
    expect(sampleTop(topOf(logits, 2, 1), { ...plain, topP: 0 }, 0.99)).toBe(1);
  });

  it("takes the nucleus of the whole row when top-k keeps all of it", () => {
    // 0.5 of the row's mass needs both best tokens, though the third is too light to be kept.
    const logits = Float32Array.from([0, 0, -0.275]);
    const params = { ...plain, temperature: 0.3, topP: 0.5, topK: 3 };
    expect(new Set([0.1, 0.9].map((draw) => sampleRow(logits, params, draw)))).toEqual(new Set([0, 1]));
  });

  it("never draws a token at minus infinity", () => {
    const logits = Float32Array.from([-Infinity, 0, -Infinity, 0]);
    for (const draw of [0, 0.3, 0.7, 1 - 2 ** -53]) expect([1, 3]).toContain(sampleRow(logits, plain, draw));
  });
});

describe("sampleTop", () => {
  it("gives what the whole row gives whenever it decides", () => {
    let decided = 0;
    fc.assert(
      fc.property(
        logitsArbitrary,
        paramsArbitrary,
        fc.integer({ min: 1, max: 12 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (logits, cut, count, draw) => {
          const params = { ...plain, ...cut };
          const top = topOf(logits, Math.min(count, logits.length), params.temperature);
          const id = sampleTop(top, params, draw);
          if (id === null) return;
          decided += 1;
          const row = sampleRow(logits, params, draw, top);
          // The two sum in different orders: at the very edge between two tokens they may differ.
          if (row === id) return;
          const near = [sampleRow(logits, params, draw - 1e-9, top), sampleRow(logits, params, draw + 1e-9, top)];
          expect(near).toContain(id);
        },
      ),
      { numRuns: 500 },
    );
    expect(decided).toBeGreaterThan(100);
  });

  it("decides every plain draw that falls into its candidates, and no other", () => {
    const logits = Float32Array.from([Math.log(5), Math.log(3), Math.log(1), Math.log(1)]);
    const top = topOf(logits, 2, 1);
    expect(sampleTop(top, plain, 0.49)).toBe(0);
    expect(sampleTop(top, plain, 0.51)).toBe(1);
    expect(sampleTop(top, plain, 0.81)).toBeNull();
    expect(sampleRow(logits, plain, 0.81, top)).toBe(2);
  });

  it("leaves a top-k wider than its candidates to the whole row", () => {
    const logits = Float32Array.from([3, 2, 1, 0]);
    expect(sampleTop(topOf(logits, 2, 1), { ...plain, topK: 3 }, 0.1)).toBeNull();
  });
});

describe("editLogits", () => {
  it("subtracts presence once and frequency per occurrence of sampled tokens", () => {
    const logits = Float32Array.from([1, 1, 1]);
    const params = { ...plain, presencePenalty: 0.5, frequencyPenalty: 0.25 };
    editLogits(logits, params, new Set([0]), new Map([[1, 2]]));
    expect([...logits]).toEqual([1, 0, 1]);
  });

  it("divides positive and multiplies negative logits of seen tokens by the repetition penalty, once each", () => {
    const logits = Float32Array.from([2, -2, 2, 2]);
    const params = { ...plain, repetitionPenalty: 2 };
    editLogits(
      logits,
      params,
      new Set([0, 1]),
      new Map([
        [1, 3],
        [2, 1],
      ]),
    );
    expect([...logits]).toEqual([1, -4, 1, 2]);
  });

  it("adds the bias", () => {
    const logits = Float32Array.from([0, 0]);
    editLogits(logits, { ...plain, logitBias: new Map([[1, -100]]) }, new Set(), new Map());
    expect([...logits]).toEqual([0, -100]);
  });
});

describe("needsFullRow", () => {
  it.each([
    [{}, false],
    [{ temperature: 0 }, false],
    [{ topP: 0.9, topK: 5 }, false],
    [{ presencePenalty: 1 }, true],
    [{ frequencyPenalty: -1 }, true],
    [{ repetitionPenalty: 1.1 }, true],
    [{ logitBias: new Map([[1, 1]]) }, true],
  ])("for %j is %j", (change, expected) => {
    expect(needsFullRow({ ...plain, ...change })).toBe(expected);
  });
});
