// Owns the figures of held-out text: nats a token, perplexity, and bits a byte, which alone compares models of different
// tokenizers; each with the interval in which other dialogues of the same kind would put it. It knows no models.
import { uniform } from "../../runtime/engine/random.ts";
import { percentile } from "../measures/distribution.ts";
import type { DialogueScore } from "./score-dialogue.ts";

export interface Estimate {
  readonly value: number;
  /** 95 %, by resampling dialogues. */
  readonly low: number;
  readonly high: number;
}

/** Estimates are null where nothing was scored. */
export interface HeldOutFigures {
  /** With at least one scored turn. */
  readonly dialogues: number;
  readonly turns: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly natsPerToken: Estimate | null;
  readonly perplexity: Estimate | null;
  /** Bits of all scored tokens, those that end turns included, over the UTF-8 bytes of the turns' texts. */
  readonly bitsPerByte: Estimate | null;
  /** Dialogues that took more than one window. */
  readonly splitDialogues: number;
  readonly leftOutTurns: number;
}

const resamples = 1000;

/** Equal seeds give equal intervals. */
export function heldOutFigures(scores: readonly DialogueScore[], seed: number): HeldOutFigures {
  const scored = scores.filter(({ tokens }) => tokens > 0);
  const total = sumOf(scored);
  const draws = resampled(scored.length, seed, (drawn) => sumOf(drawn.map((index) => scored[index]!)));
  const estimate = (figure: (sum: Sums) => number) => estimateOf(figure(total), draws.map(figure));
  return {
    dialogues: scored.length,
    turns: scored.reduce((sum, { turns }) => sum + turns, 0),
    tokens: total.tokens,
    bytes: total.bytes,
    natsPerToken: estimate(({ nats, tokens }) => nats / tokens),
    perplexity: estimate(({ nats, tokens }) => Math.exp(nats / tokens)),
    bitsPerByte: estimate(bitsPerByteOf),
    splitDialogues: scores.filter(({ windows }) => windows > 1).length,
    leftOutTurns: scores.reduce((sum, { leftOutTurns }) => sum + leftOutTurns, 0),
  };
}

/** What comes of each resampling of so many dialogues: their indices, drawn with replacement. */
export function resampled<T>(dialogues: number, seed: number, take: (drawn: readonly number[]) => T): readonly T[] {
  return Array.from({ length: resamples }, (_, draw) =>
    take(Array.from({ length: dialogues }, (_dialogue, index) => Math.floor(uniform(seed, draw, index) * dialogues))),
  );
}

/** A value with the middle 95 % of its resamplings; null where it is none. */
export function estimateOf(value: number, draws: readonly number[]): Estimate | null {
  if (!Number.isFinite(value)) return null;
  const sorted = draws.toSorted((a, b) => a - b);
  return { value, low: percentile(sorted, 0.025) ?? 0, high: percentile(sorted, 0.975) ?? 0 };
}

export function bitsPerByteOf({ nats, bytes }: Pick<Sums, "nats" | "bytes">): number {
  return nats / Math.LN2 / bytes;
}

export interface Sums {
  readonly nats: number;
  readonly tokens: number;
  readonly bytes: number;
}

export function sumOf(scores: readonly Sums[]): Sums {
  let nats = 0;
  let tokens = 0;
  let bytes = 0;
  for (const score of scores) {
    nats += score.nats;
    tokens += score.tokens;
    bytes += score.bytes;
  }
  return { nats, tokens, bytes };
}
