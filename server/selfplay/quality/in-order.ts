// Owns the order in which a job's dialogues are measured: by their index, however they finish. Which of two duplicates stays,
// and so the data set, then depends on neither timing nor restarts nor on which gateway played what.
import type { JobQuality, QualityDialogue, QualityVerdict } from "./quality-types.ts";

export interface SettledVerdict {
  readonly index: number;
  /** null for a dialogue that failed. */
  readonly verdict: QualityVerdict | null;
}

/** Holds finished dialogues back until all before them are in; at most as many as are in play at once. */
export class QualityInOrder {
  readonly #quality: JobQuality;
  readonly #early = new Map<number, QualityDialogue | null>();
  #next = 0;

  constructor(quality: JobQuality) {
    this.#quality = quality;
  }

  /** Dialogues that wait for one before them. */
  get heldBack(): number {
    return this.#early.size;
  }

  /** Takes one dialogue, null if there will never be one; returns every verdict that is settled now. A second one of an index is ignored. */
  add(index: number, dialogue: QualityDialogue | null): SettledVerdict[] {
    if (index >= this.#next && !this.#early.has(index)) this.#early.set(index, dialogue);
    const settled: SettledVerdict[] = [];
    for (let next = this.#early.get(this.#next); next !== undefined; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      settled.push({ index: this.#next, verdict: next === null ? null : this.#quality.add(next) });
      this.#next += 1;
    }
    return settled;
  }
}
