import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pearson, spearman } from "../../../training/measures/correlation.ts";
import type { Table5Row } from "../../../training/measures/quality-types.ts";
import { correlateTable5, table5Columns } from "../../../training/measures/table5.ts";

// The paper's Table 5 and scores of the models trained on each set:
// RealChat, with Dolly seeds, with WizardLM seeds, Baize, UltraChat, ShareGPT.
const table = [
  [5.39, 2182.94, 202.55, 0.7078, 31.65, 0.6727, 8.57, 9.5992, 9.8088],
  [8.3, 2003.11, 120.53, 0.7002, 28.79, 0.5456, 8.5243, 9.6778, 9.857],
  [3.79, 2112.26, 278.81, 0.714, 57.75, 0.3653, 9.0068, 9.741, 9.8837],
  [3.79, 264.12, 34.56, 0.719, 28.33, 0.1758, 7.8042, 9.3981, 9.7702],
  [3.85, 1441.99, 187.24, 0.7158, 76.46, 0.1157, 8.4256, 9.5607, 9.816],
  [3.07, 1136.71, 185.15, 0.7016, 35.54, 0.8358, 7.9171, 9.2101, 9.6184],
];
const rows = table.map(
  (values) =>
    Object.fromEntries([
      ["dialogues", 10_000],
      ...table5Columns.map((name, index) => [name, values[index]] as const),
    ]) as unknown as Table5Row,
);
const scores = {
  vicunaBench: [8.3438, 8.2625, 8.0813, 4.6375, 7.7188, 8.2375],
  mtBench1: [5.9938, 5.9875, 5.7313, 4.0125, 5.1188, 6.3688],
  mtBench2: [4.6875, 4.8, 4.4, 3.8875, 4.2625, 5.5125],
  mtBench: [5.3406, 5.3937, 5.0656, 3.95, 4.6906, 5.9406],
};

describe("Pearson gives the paper's matrix", () => {
  const matrix = correlateTable5(rows, scores);
  it.each([
    ["turns", 0.2897, 0.2618, 0.0769, 0.1947],
    ["sessionTokens", 0.8531, 0.7151, 0.295, 0.5663],
    ["utteranceTokens", 0.7648, 0.6394, 0.3293, 0.533],
    ["topicMeanCosine", -0.6715, -0.8383, -0.8812, -0.8815],
    ["mtld", 0.225, -0.078, -0.2639, -0.156],
    ["humanRatio", 0.5906, 0.8328, 0.9098, 0.8897],
    ["complexity", 0.6062, 0.3921, -0.0868, 0.2096],
    ["relevancy", 0.3127, 0.0734, -0.3951, -0.1147],
    ["logicality", 0.0835, -0.1658, -0.5938, -0.3448],
  ] as const)("%s", (column, ...expected: readonly number[]) => {
    const found = Object.values(matrix[column]).map(({ r }) => r);
    for (const [index, r] of expected.entries()) expect(found[index]).toBeCloseTo(r, 4);
  });

  it("with the number of rows, and a warning where chance would do", () => {
    const { vicunaBench } = matrix.utteranceTokens;
    expect(vicunaBench.n).toBe(6);
    expect(vicunaBench.criticalR).toBeCloseTo(0.8114, 4);
    expect(vicunaBench.warning).toBe("Not significant: n = 6. |r| below 0.811 is what chance gives at 5 %.");
    expect(matrix.sessionTokens.vicunaBench.warning).toBeNull();
    expect(matrix.humanRatio.mtBench.p).toBeCloseTo(0.0176, 3);
  });
});

const critical = (n: number): number | null => {
  const column = Array.from({ length: n }, (_, index) => index);
  return pearson(column, column).criticalR;
};

it("critical values are those of statistical tables", () => {
  const known: readonly (readonly [n: number, r: number])[] = [
    [3, 0.9969],
    [4, 0.95],
    [5, 0.8783],
    [10, 0.6319],
    [30, 0.361],
    [102, 0.1946],
  ];
  for (const [n, r] of known) expect(critical(n)).toBeCloseTo(r, 4);
});

it("Spearman looks at the order alone, ties sharing their rank", () => {
  expect(spearman([1, 2, 3, 4], [1, 8, 27, 64]).r).toBeCloseTo(1, 12);
  expect(spearman([1, 2, 2, 3], [1, 2, 3, 4]).r).toBeCloseTo(0.9487, 4);
  const matrix = correlateTable5(rows, scores, "spearman");
  expect(matrix.humanRatio.mtBench.r).toBeCloseTo(0.8857, 4);
});

it("rows without a value are left out, a column that does not vary has no correlation", () => {
  expect(pearson([1, null, 3, 4], [2, 5, null, 8])).toMatchObject({ n: 2, r: 1, p: null });
  expect(pearson([1, 1, 1], [1, 2, 3])).toMatchObject({ n: 3, r: null, p: null });
  expect(pearson([], [])).toMatchObject({ n: 0, r: null, criticalR: null, warning: "Not significant: n = 0." });
  expect(() => pearson([1], [1, 2])).toThrow("The columns have 1 and 2 rows.");
});

it("correlation is symmetric, between −1 and 1, and blind to scale", () => {
  const column = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(column, column, (x, y) => {
      const { r, p } = pearson(x, y);
      expect(pearson(y, x).r).toEqual(r);
      if (r === null) return;
      expect(Math.abs(r)).toBeLessThanOrEqual(1);
      expect(p).toBeGreaterThanOrEqual(0);
      expect(p).toBeLessThanOrEqual(1);
      const scaled = x.map((value) => 3 * value + 7);
      expect(pearson(scaled, y).r).toBeCloseTo(r, 9);
    }),
  );
});
