// Owns which of two models finds the same held-out turns more probable: bits a byte of both, and the difference with the interval
// in which other dialogues of the same kind would put it. Dialogues are resampled as pairs, so what makes one hard for both models
// does not widen the interval. It knows no models.
import { bitsPerByteOf, type Estimate, estimateOf, resampled, sumOf } from "./held-out.ts";
import type { DialogueScore } from "./score-dialogue.ts";

/** Estimates are null where nothing was scored by both. */
export interface HeldOutComparison {
  /** Of which both models scored the same turns. */
  readonly dialogues: number;
  /** Of which they did not, since a window of one holds what one of the other does not: in no figure here. */
  readonly unpaired: number;
  readonly turns: number;
  readonly bytes: number;
  /** Bits a byte of the model and of the one that it is compared with. */
  readonly model: Estimate | null;
  readonly against: Estimate | null;
  /** `against` minus `model`: above 0 the model is the better one. */
  readonly difference: Estimate | null;
  /** Dialogues that have fewer bits under the model. */
  readonly betterDialogues: number;
}

/** Both scored the same dialogues in the same order. Equal seeds give equal intervals. */
export function compareHeldOut(
  model: readonly DialogueScore[],
  against: readonly DialogueScore[],
  seed: number,
): HeldOutComparison {
  const scored = model.flatMap((own, index) => {
    const other = against[index];
    if (other === undefined) throw new Error("The two models did not score the same dialogues.");
    return own.turns > 0 || other.turns > 0 ? [{ own, other }] : [];
  });
  const pairs = scored.filter(({ own, other }) => own.turns === other.turns && own.bytes === other.bytes);
  const total = both(pairs);
  const draws = resampled(pairs.length, seed, (drawn) => both(drawn.map((index) => pairs[index]!)));
  const estimate = (figure: (sums: typeof total) => number) => estimateOf(figure(total), draws.map(figure));
  return {
    dialogues: pairs.length,
    unpaired: scored.length - pairs.length,
    turns: pairs.reduce((sum, { own }) => sum + own.turns, 0),
    bytes: pairs.reduce((sum, { own }) => sum + own.bytes, 0),
    model: estimate((sums) => sums.model),
    against: estimate((sums) => sums.against),
    difference: estimate((sums) => sums.against - sums.model),
    betterDialogues: pairs.filter(({ own, other }) => own.nats < other.nats).length,
  };
}

interface Pair {
  readonly own: DialogueScore;
  readonly other: DialogueScore;
}

function both(pairs: readonly Pair[]): { readonly model: number; readonly against: number } {
  return {
    model: bitsPerByteOf(sumOf(pairs.map(({ own }) => own))),
    against: bitsPerByteOf(sumOf(pairs.map(({ other }) => other))),
  };
}
