// Owns a scaling curve: scores of models trained on growing subsets, what doubling the data brings, and whether that is more than
// chance. It does not know what was trained, or how it was scored.
import { z } from "zod";
import { type Correlation, spearman } from "../measures/correlation.ts";

/** One line of a results file: a subset's size, and the scores of the model trained on it by name. */
export const scalingRowSchema = z.object({
  size: z.number().positive(),
  scores: z.record(z.string(), z.number().nullable()),
});
export type ScalingRow = z.infer<typeof scalingRowSchema>;

interface ScalingCurve {
  readonly name: string;
  /** In the order of the sizes; null where there is none. */
  readonly values: readonly (number | null)[];
  /** Of the line that fits best over the sizes' logarithms; null below two points. */
  readonly gainPerDoubling: number | null;
  /** Whether scores rise with size, by their order alone. */
  readonly trend: Correlation;
}

export interface Scaling {
  /** Rising. */
  readonly sizes: readonly number[];
  readonly curves: readonly ScalingCurve[];
}

/** Throws an Error where a size is there twice. */
export function scalingOf(rows: readonly ScalingRow[]): Scaling {
  const sorted = rows.toSorted((a, b) => a.size - b.size);
  const sizes = sorted.map(({ size }) => size);
  const twice = sizes.find((size, index) => sizes[index - 1] === size);
  if (twice !== undefined) throw new Error(`The size ${twice} is there twice.`);
  const names = [...new Set(rows.flatMap(({ scores }) => Object.keys(scores)))];
  const curves = names.map((name) => {
    const values = sorted.map(({ scores }) => scores[name] ?? null);
    return { name, values, gainPerDoubling: slope(sizes.map(Math.log2), values), trend: spearman(sizes, values) };
  });
  return { sizes, curves };
}

function slope(xs: readonly number[], ys: readonly (number | null)[]): number | null {
  const points = xs.flatMap((x, index) => (ys[index] == null ? [] : [{ x, y: ys[index] }]));
  if (points.length < 2) return null;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const above = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return above / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
}
