// Owns how lengths are put into bins: the same for every source of a report, round numbers, the long tail in one open bin.
// It does not know what has the length.
import type { Distribution } from "../measures/distribution.ts";
import type { Bin } from "../report/plots.ts";

const aimedBins = 24;
/** One row of a table in few bins: beyond this share the tail is one bin. */
const shownShare = "p99";

/** One histogram for each distribution, all over the same bins. */
export function histogramsOver(distributions: readonly Distribution[]): readonly (readonly Bin[])[] {
  const summaries = distributions.map((distribution) => distribution.summary());
  const least = Math.min(...summaries.flatMap(({ min }) => min ?? []));
  const most = Math.max(...summaries.flatMap(({ max }) => max ?? []));
  if (!Number.isFinite(least)) return distributions.map(() => []);
  const shown = Math.max(...summaries.flatMap((summary) => summary[shownShare] ?? []));
  const first = Math.floor(least);
  const width = roundWidth((shown - first + 1) / aimedBins);
  const start = Math.floor(first / width) * width;
  const edges: number[] = [];
  for (let edge = start; edge <= shown; edge += width) edges.push(edge);
  const end = (edges.at(-1) ?? start) + width;
  const hasTail = most >= end;
  if (hasTail) edges.push(end);
  return distributions.map((distribution) => {
    const counts = distribution.countsBetween(edges);
    return edges.map((from, index) => ({
      from,
      to: edges[index + 1] ?? (hasTail ? null : end),
      count: counts[index] ?? 0,
    }));
  });
}

/** The least of 1, 2, 5, 10, 20 … that is not below. */
function roundWidth(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const step = [1, 2, 5, 10].find((candidate) => candidate * power >= least) ?? 10;
  return step * power;
}
