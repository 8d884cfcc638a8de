// Owns the figures of held-out text: nats a token, perplexity, and bits a byte, which alone compares models of different
// tokenizers; each with the interval in which other dialogues of the same kind would put it. It knows no models.
import { uniform } from "../../runtime/engine/random.ts";
import { percentile } from "../measures/distribution.ts";
import type { DialogueScore } from "./score-dialogue.ts";

interface Estimate {
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
  const draws = Array.from({ length: resamples }, (_, draw) =>
    sumOf(scored.map((_dialogue, index) => scored[Math.floor(uniform(seed, draw, index) * scored.length)]!)),
  );
  const total = sumOf(scored);
  const estimate = (figure: (sum: Sums) => number): Estimate | null => {
    if (!Number.isFinite(figure(total))) return null;
    const sorted = draws.map(figure).toSorted((a, b) => a - b);
    return { value: figure(total), low: percentile(sorted, 0.025) ?? 0, high: percentile(sorted, 0.975) ?? 0 };
  };
  return {
    dialogues: scored.length,
    turns: scored.reduce((sum, { turns }) => sum + turns, 0),
    tokens: total.tokens,
    bytes: total.bytes,
    natsPerToken: estimate(({ nats, tokens }) => nats / tokens),
    perplexity: estimate(({ nats, tokens }) => Math.exp(nats / tokens)),
    bitsPerByte: estimate(({ nats, bytes }) => nats / Math.LN2 / bytes),
    splitDialogues: scores.filter(({ windows }) => windows > 1).length,
    leftOutTurns: scores.reduce((sum, { leftOutTurns }) => sum + leftOutTurns, 0),
  };
}

interface Sums {
  readonly nats: number;
  readonly tokens: number;
  readonly bytes: number;
}

function sumOf(scores: readonly Sums[]): Sums {
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
