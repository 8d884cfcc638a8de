// Who takes a parent's place: the interval of the paired difference decides, and every check says what it saw.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareHeldOut, type HeldOutComparison } from "../../../training/evaluate/compare-held-out.ts";
import { type GateOptions, judgeCandidate } from "../../../training/loop/gate.ts";

const options = (more: Partial<GateOptions> = {}): GateOptions => ({
  rule: "not-worse",
  margin: 0.01,
  leastPairs: 2,
  ...more,
});

const figures = (low: number, value: number, high: number, dialogues = 100) => {
  const difference = { value, low, high };
  const comparison: HeldOutComparison = {
    dialogues,
    unpaired: 0,
    turns: dialogues,
    bytes: 1000,
    model: difference,
    against: difference,
    difference,
    betterDialogues: 0,
  };
  return { failure: null, comparison };
};

describe("an interval of the gain is accepted", () => {
  test.each([
    ["above zero", [0.01, 0.02, 0.03], { "not-worse": true, better: true, any: true }],
    ["across zero, within the margin", [-0.009, 0.001, 0.02], { "not-worse": true, better: false, any: true }],
    ["at the margin", [-0.01, 0, 0.01], { "not-worse": true, better: false, any: true }],
    [
      "beyond the margin, though better on average",
      [-0.02, 0.01, 0.04],
      { "not-worse": false, better: false, any: true },
    ],
    ["below zero", [-0.3, -0.2, -0.1], { "not-worse": false, better: false, any: true }],
  ] as const)("%s", (_, [low, value, high], wanted) => {
    for (const rule of ["not-worse", "better", "any"] as const) {
      expect({ rule, is: judgeCandidate(figures(low, value, high), options({ rule })).isAccepted }).toEqual({
        rule,
        is: wanted[rule],
      });
    }
  });
});

test("the sentences say what was seen and what was wanted", () => {
  expect(judgeCandidate(figures(-0.0144, -0.013, -0.0112), options())).toEqual({
    isAccepted: false,
    checks: [
      {
        rule: "pairs",
        isPassed: true,
        sentence: "both models scored 100 held-out dialogues, and at least 2 are wanted",
      },
      {
        rule: "held-out",
        isPassed: false,
        sentence:
          "0.0130 bits a byte worse than the parent (gain with 95 % certainty between -0.0144 and -0.0112); " +
          "the gain must not be below -0.0100",
      },
    ],
  });
});

test("too few pairs are not enough, however good they are", () => {
  const verdict = judgeCandidate(figures(0.1, 0.2, 0.3, 19), options({ leastPairs: 20 }));
  expect(verdict).toMatchObject({
    isAccepted: false,
    checks: [{ rule: "pairs", isPassed: false }, { isPassed: true }],
  });
});

test("where no model came about there is nothing to accept, whatever the rule", () => {
  const failure = "the imported model does not compute what the checkpoint computes";
  expect(judgeCandidate({ failure, comparison: null }, options({ rule: "any" }))).toEqual({
    isAccepted: false,
    checks: [{ rule: "model", isPassed: false, sentence: failure }],
  });
});

test("where nothing was scored by both, only --gate any accepts", () => {
  const comparison = compareHeldOut([], [], 1);
  const isAccepted = (rule: GateOptions["rule"]) =>
    judgeCandidate({ failure: null, comparison }, options({ rule, leastPairs: 0 })).isAccepted;
  expect([isAccepted("not-worse"), isAccepted("better"), isAccepted("any")]).toEqual([false, false, true]);
});

const anyInterval = fc
  .tuple(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([low, width]) => figures(low, low + width / 2, low + width));

describe("of any interval", () => {
  test("what is better is not worse, whatever the margin", () => {
    fc.assert(
      fc.property(anyInterval, fc.double({ min: 0, max: 1, noNaN: true }), (found, margin) => {
        const accepts = (rule: GateOptions["rule"]) => judgeCandidate(found, options({ rule, margin })).isAccepted;
        expect(!accepts("better") || accepts("not-worse")).toBe(true);
      }),
    );
  });

  test("a wider margin accepts no less", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(anyInterval, share, share, (found, a, b) => {
        const accepts = (margin: number) => judgeCandidate(found, options({ margin })).isAccepted;
        expect(!accepts(Math.min(a, b)) || accepts(Math.max(a, b))).toBe(true);
      }),
    );
  });

  test("it is accepted exactly when every check is passed", () => {
    fc.assert(
      fc.property(anyInterval, fc.integer({ min: 0, max: 200 }), (found, leastPairs) => {
        const { isAccepted, checks } = judgeCandidate(found, options({ leastPairs }));
        expect(isAccepted).toBe(checks.every(({ isPassed }) => isPassed));
      }),
    );
  });
});

test("a model is never worse than itself", () => {
  const score = fc.record({
    nats: fc.double({ min: 1, max: 50, noNaN: true }),
    bytes: fc.integer({ min: 1, max: 100 }),
  });
  fc.assert(
    fc.property(fc.array(score, { minLength: 2, maxLength: 6 }), (found) => {
      const scores = found.map((one) => ({ ...one, tokens: 3, turns: 1, windows: 1, leftOutTurns: 0 }));
      const comparison = compareHeldOut(scores, scores, 7);
      expect(judgeCandidate({ failure: null, comparison }, options({ margin: 0 })).isAccepted).toBe(true);
    }),
    { numRuns: 10 },
  );
});
