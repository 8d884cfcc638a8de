// Owns draws that are the same in every run: whole numbers, lengths with a long tail, names. Not for secrets nor for sampling of models.

export interface Random {
  /** From 0 to below `bound`. */
  below(bound: number): number;
  /** How often something went on, with that mean, at most `most` times. */
  geometric(mean: number, most: number): number;
  /** At least 1, half of them below `median`, now and then many times that, at most `most`. */
  long(median: number, most: number): number;
  /** Letters and digits. */
  name(length: number): string;
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  // Mulberry32: every state once, and all bits of a draw are good.
  const draw = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(draw() * bound);
  return {
    below,
    geometric: (mean, most) => Math.min(most, Math.floor(Math.log(1 - draw()) / Math.log(mean / (1 + mean)))),
    long: (median, most) => {
      const gauss = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
      return Math.max(1, Math.min(most, Math.round(median * Math.exp(0.9 * gauss))));
    },
    name: (length) => Array.from({ length }, () => letters[below(letters.length)]).join(""),
  };
}
