// Owns how well a user model ends dialogues where people ended them: precision, recall and F1 over places, with the interval in
// which other dialogues of the same kind would put F1, and what would have become of whole dialogues. It knows no models.
import type { AskedPlaces } from "./ask-endings.ts";
import { type Estimate, estimateOf, resampled } from "./held-out.ts";

export interface TerminationFigures {
  /** With at least one place. */
  readonly dialogues: number;
  readonly places: number;
  /** Places at which the human ended the dialogue, the model did, and both did. */
  readonly humanEnds: number;
  readonly modelEnds: number;
  readonly sharedEnds: number;
  /** Of the model's: by the token that ends a conversation; the others were turns without a word. */
  readonly endsByToken: number;
  readonly precision: number | null;
  readonly recall: number | null;
  /** null where nobody ended anything. */
  readonly f1: Estimate | null;
  /** Of a model that ends every dialogue at once: what F1 has to be above. */
  readonly f1OfAlwaysEnding: number | null;
  /** Dialogues with a known end, by where the model ends first: before the human, there, or nowhere. */
  readonly firstEnd: { readonly early: number; readonly right: number; readonly never: number };
  /** Places that no window holds: in no other figure. */
  readonly leftOutPlaces: number;
}

/** Equal seeds give equal intervals. */
export function terminationFigures(asked: readonly AskedPlaces[], seed: number): TerminationFigures {
  const counts = asked.map(countsOf);
  const counted = counts.filter(({ places }) => places > 0);
  const total = sumOf(counted);
  const draws = resampled(counted.length, seed, (drawn) => f1Of(sumOf(drawn.map((index) => counted[index]!))));
  const { places, humanEnds, modelEnds, sharedEnds } = total;
  // The end is known, and was asked about.
  const ended = asked.filter(({ ends, isEndKnown }) => isEndKnown && (ends.at(-1) ?? null) !== null);
  const right = ended.filter(({ ends }) => ends.indexOf(true) === ends.length - 1).length;
  const never = ended.filter(({ ends }) => !ends.includes(true)).length;
  return {
    dialogues: counted.length,
    places,
    humanEnds,
    modelEnds,
    sharedEnds,
    endsByToken: asked.reduce((sum, { byToken }) => sum + byToken, 0),
    precision: modelEnds === 0 ? null : sharedEnds / modelEnds,
    recall: humanEnds === 0 ? null : sharedEnds / humanEnds,
    f1: estimateOf(f1Of(total), draws.filter(Number.isFinite)),
    f1OfAlwaysEnding: places === 0 ? null : (2 * humanEnds) / (places + humanEnds),
    firstEnd: { early: ended.length - right - never, right, never },
    leftOutPlaces: asked.reduce((sum, { ends }) => sum + ends.filter((end) => end === null).length, 0),
  };
}

interface Counts {
  readonly places: number;
  readonly humanEnds: number;
  readonly modelEnds: number;
  readonly sharedEnds: number;
}

function countsOf({ ends, isEndKnown }: AskedPlaces): Counts {
  const last = isEndKnown ? (ends.at(-1) ?? null) : null;
  return {
    places: ends.filter((end) => end !== null).length,
    humanEnds: last === null ? 0 : 1,
    modelEnds: ends.filter((end) => end === true).length,
    sharedEnds: last === true ? 1 : 0,
  };
}

function sumOf(counts: readonly Counts[]): Counts {
  const sum = { places: 0, humanEnds: 0, modelEnds: 0, sharedEnds: 0 };
  for (const { places, humanEnds, modelEnds, sharedEnds } of counts) {
    sum.places += places;
    sum.humanEnds += humanEnds;
    sum.modelEnds += modelEnds;
    sum.sharedEnds += sharedEnds;
  }
  return sum;
}

/** NaN where nobody ended anything. */
function f1Of({ humanEnds, modelEnds, sharedEnds }: Counts): number {
  return (2 * sharedEnds) / (humanEnds + modelEnds);
}
