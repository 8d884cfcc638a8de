// Says which examples make up which optimizer step. The order is a function of the seed and the epoch alone, so that a step's
// number is all that a resumed training needs to know.
// It knows lengths, not what the examples say.
import { uniform } from "../../runtime/engine/random.ts";

/** Shuffled examples are sorted by length among so many neighbours. */
const NEIGHBOURS = 512;
/** Draws that decide something else are apart from each other. */
const EXAMPLES_STREAM = 0;
const BATCHES_STREAM = 1;
const STREAMS = 3;

export interface Shuffling {
  readonly seed: number;
  readonly epoch: number;
}

/**
 * Cuts examples into batches of alike lengths: padded, none has more than `tokenBudget` tokens, unless it is one example.
 * Shuffled, alike lengths are looked for among a few hundred neighbours only; without shuffling the batches are the same
 * every time, shortest first. A batch is a list of places in `lengths`.
 */
export function batchesOf(lengths: readonly number[], tokenBudget: number, shuffling: Shuffling | null): number[][] {
  const indices = [...lengths.keys()];
  if (shuffling !== null) shuffle(indices, shuffling, EXAMPLES_STREAM);
  const neighbours = shuffling === null ? Math.max(1, indices.length) : NEIGHBOURS;
  const lengthOf = (index: number) => lengths[index] ?? 0;
  const batches: number[][] = [];
  for (let start = 0; start < indices.length; start += neighbours) {
    let batch: number[] = [];
    for (const index of indices.slice(start, start + neighbours).toSorted((a, b) => lengthOf(a) - lengthOf(b))) {
      if (batch.length > 0 && lengthOf(index) * (batch.length + 1) > tokenBudget) {
        batches.push(batch);
        batch = [];
      }
      batch.push(index);
    }
    if (batch.length > 0) batches.push(batch);
  }
  if (shuffling !== null) shuffle(batches, shuffling, BATCHES_STREAM);
  return batches;
}

/** Which batches each optimizer step takes: `perStep` of one epoch's order at a time. */
export class Schedule {
  /** Epochs differ by a few batches, since the order decides which lengths meet: all are counted as the first. */
  readonly stepsPerEpoch: number;
  readonly #lengths: readonly number[];
  readonly #tokenBudget: number;
  readonly #perStep: number;
  readonly #seed: number;
  #epoch = -1;
  #groups: number[][][] = [];

  constructor(lengths: readonly number[], tokenBudget: number, perStep: number, seed: number) {
    this.#lengths = lengths;
    this.#tokenBudget = tokenBudget;
    this.#perStep = perStep;
    this.#seed = seed;
    this.stepsPerEpoch = this.#groupsOf(0).length;
  }

  /** The batches of a step, counted from 0. There may be fewer than `perStep`. */
  batches(step: number): number[][] {
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (epoch !== this.#epoch) {
      const groups = this.#groupsOf(epoch);
      // A longer epoch leaves its last groups out, a shorter one repeats its first.
      this.#groups = [...groups, ...groups].slice(0, this.stepsPerEpoch);
      this.#epoch = epoch;
    }
    return this.#groups[step % this.stepsPerEpoch] ?? [];
  }

  #groupsOf(epoch: number): number[][][] {
    const batches = batchesOf(this.#lengths, this.#tokenBudget, { seed: this.#seed, epoch });
    return Array.from({ length: Math.ceil(batches.length / this.#perStep) }, (_, group) =>
      batches.slice(group * this.#perStep, (group + 1) * this.#perStep),
    );
  }
}

/** Fisher and Yates. Every stream has an order of its own. */
export function shuffle(items: unknown[], { seed, epoch }: Shuffling, stream: number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(uniform(seed, STREAMS * epoch + stream, last) * (last + 1));
    [items[last], items[other]] = [items[other], items[last]];
  }
}
