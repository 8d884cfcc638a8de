import { expect, it } from "vitest";
import { scalingOf } from "../../../training/evaluate/scaling.ts";
import { scalingPage } from "../../../training/evaluate/report-page.ts";
import { scalingText } from "../../../training/evaluate/report-text.ts";

const rows = [
  { size: 8000, scores: { a: 6, b: 5 } },
  { size: 1000, scores: { a: 3, b: 5 } },
  { size: 2000, scores: { a: 4 } },
  { size: 4000, scores: { a: 5, b: 5 } },
];

it("a curve rises by so much a doubling, and says where that may be chance", () => {
  const { sizes, curves } = scalingOf(rows);
  expect(sizes).toEqual([1000, 2000, 4000, 8000]);
  expect(curves.map(({ name, values }) => [name, values])).toEqual([
    ["a", [3, 4, 5, 6]],
    ["b", [5, null, 5, 5]],
  ]);
  expect(curves[0]?.gainPerDoubling).toBeCloseTo(1, 12);
  expect(curves[0]?.trend).toMatchObject({ n: 4, warning: null });
  expect(curves[1]?.gainPerDoubling).toBeCloseTo(0, 12);
  expect(curves[1]?.trend).toMatchObject({ n: 3, r: null });
  const text = scalingText({ sizes, curves });
  expect(text).toContain("a: 1.0000 a doubling, Spearman 1.0000 with n = 4.");
  expect(text).toContain("b: 0.0000 a doubling. Not significant: n = 3.");
  expect(scalingPage({ sizes, curves })).toContain("<svg");
});

it("a size that is there twice is refused; one point has no slope", () => {
  expect(() => scalingOf([...rows, { size: 1000, scores: {} }])).toThrow("The size 1000 is there twice.");
  expect(scalingOf(rows.slice(0, 1)).curves[0]).toMatchObject({ gainPerDoubling: null, trend: { n: 1 } });
});
