// Rotary embedding tables: the cosine and sine of every position and frequency, as rows that are computed when read.
// It knows how frequencies are scaled, not who rotates with them.
import type { DecoderConfig } from "./config.ts";
import type { RowSource } from "./rows.ts";

type RopeConfig = Pick<DecoderConfig, "headDim" | "ropeTheta" | "ropeScaling">;

/**
 * One row of `paddedDim / 2` values a position. Pairs beyond the head's own are not rotated: cosine 1, sine 0.
 * Rounded to float32 where the checkpoints' own training code rounds, so that late positions agree with it.
 */
export function ropeTable(fn: "cos" | "sin", config: RopeConfig, paddedDim: number, positions: number): RowSource {
  const columns = paddedDim / 2;
  const frequencies = inverseFrequencies(config);
  return {
    rows: positions,
    columns,
    read(first, count, target) {
      for (let row = 0; row < count; row++) {
        for (let pair = 0; pair < columns; pair++) {
          const angle = Math.fround((first + row) * (frequencies[pair] ?? 0));
          target[row * columns + pair] = Math[fn](angle);
        }
      }
      return Promise.resolve();
    },
  };
}

/** Radians a position for each pair of a head, scaling applied. */
export function inverseFrequencies({ headDim, ropeTheta, ropeScaling }: RopeConfig): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, pair) => {
    const frequency = 1 / ropeTheta ** ((2 * pair) / headDim);
    if (ropeScaling.kind === "none") return frequency;
    if (ropeScaling.kind === "linear") return frequency / ropeScaling.factor;
    // Long waves are stretched, short ones kept, those between are mixed.
    const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = ropeScaling;
    const turns = (originalContext * frequency) / (2 * Math.PI);
    const kept = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    const share = Math.min(1, Math.max(0, kept));
    return (1 - share) * (frequency / factor) + share * frequency;
  });
}
