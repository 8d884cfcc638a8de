import fc from "fast-check";
import { expect, it } from "vitest";
import { Distribution, percentile } from "../../../training/measures/distribution.ts";

it("percentiles are NumPy's", () => {
  const distribution = new Distribution();
  for (const value of [7, 1, 3, 2]) distribution.add(value);
  expect(distribution.summary()).toEqual({
    n: 4,
    mean: 3.25,
    min: 1,
    p10: expect.closeTo(1.3, 12),
    p25: 1.75,
    p50: 2.5,
    p75: 4,
    p90: expect.closeTo(5.8, 12),
    p99: expect.closeTo(6.88, 12),
    max: 7,
  });
});

it("nothing added is null, not zero", () => {
  const { n, ...rest } = new Distribution().summary();
  expect(n).toBe(0);
  expect(new Set(Object.values(rest))).toEqual(new Set([null]));
});

it("the order of values and how many there are do not matter", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 300 }), (values) => {
      const distribution = new Distribution();
      for (const value of values) distribution.add(value);
      const { n, min, p50, max } = distribution.summary();
      const sorted = values.toSorted((a, b) => a - b);
      expect({ n, min, p50, max }).toEqual({
        n: values.length,
        min: sorted[0],
        p50: percentile(sorted, 0.5),
        max: sorted.at(-1),
      });
    }),
  );
});
