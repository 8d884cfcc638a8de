// The few statistics that a noisy machine asks for: medians, extremes, and ratios of things measured side by side.

/** What is kept of one program's measurements of one thing. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: number;
}

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) throw new Error("there is no median of nothing");
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The smallest value that at least `share` of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new Error("there is no quantile of nothing");
  return value;
}

export function summarize(rounds: readonly (readonly number[])[]): Summary {
  const values = rounds.flat();
  return {
    median: median(values),
    min: values.reduce((a, b) => Math.min(a, b)),
    max: values.reduce((a, b) => Math.max(a, b)),
    samples: values.length,
  };
}

/** How many times as long `theirs` took: the middle one of the rounds' own ratios, so that slow drifts cancel out. */
export function pairedRatio(theirs: readonly (readonly number[])[], ours: readonly (readonly number[])[]): number {
  return median(theirs.map((round, index) => median(round) / median(ours[index]!)));
}
