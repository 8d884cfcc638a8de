// The learning rate of a step: a linear rise, then half a cosine down.

export interface RateSettings {
  readonly learningRate: number;
  /** Where the cosine ends, as a share of the learning rate. */
  readonly minLearningRateRatio: number;
  /** Share of the steps in which it rises. */
  readonly warmup: number;
}

/** Of a step counted from 0. */
export function learningRateOf(settings: RateSettings, step: number, steps: number): number {
  const { learningRate, minLearningRateRatio, warmup } = settings;
  const rising = Math.max(1, Math.round(warmup * steps));
  if (step < rising) return (learningRate * (step + 1)) / rising;
  const share = (step - rising) / Math.max(1, steps - rising);
  const height = 0.5 * (1 + Math.cos(Math.PI * share));
  return learningRate * (minLearningRateRatio + (1 - minLearningRateRatio) * height);
}
