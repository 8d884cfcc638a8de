// Owns which texts come most often, in bounded memory: a new text beyond a number of distinct ones is counted, but not told apart.
// It does not know what the texts are.

export interface TopTexts {
  /** Most frequent first; equals in the order of their letters. */
  readonly top: readonly { readonly text: string; readonly count: number }[];
  readonly distinct: number;
  readonly of: number;
  /** Times a text came that found no more room: with any, `distinct` is too low and `top` may lack late texts. */
  readonly beyondLimit: number;
}

const mostDistinct = 200_000;

export class TopCounts {
  readonly #counts = new Map<string, number>();
  readonly #limit: number;
  #total = 0;
  #beyondLimit = 0;

  constructor(limit = mostDistinct) {
    this.#limit = limit;
  }

  add(text: string): void {
    this.#total += 1;
    const count = this.#counts.get(text);
    if (count === undefined && this.#counts.size >= this.#limit) this.#beyondLimit += 1;
    else this.#counts.set(text, (count ?? 0) + 1);
  }

  /** Those that came at least `least` times, at most `size` of them. */
  top(size: number, least = 1): TopTexts {
    const ordered = [...this.#counts]
      .filter(([, count]) => count >= least)
      .toSorted(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1));
    const top = ordered.slice(0, size).map(([text, count]) => ({ text, count }));
    return { top, distinct: this.#counts.size, of: this.#total, beyondLimit: this.#beyondLimit };
  }
}
