// Owns perplexity over many turns: how surprising they were to the model that scored them.
// It takes log-probabilities; who computes them, and under which mask, is decided elsewhere.

/** What a turn comes to: enough to go on adding, and small enough to be kept. */
export interface TurnLikelihood {
  readonly tokens: number;
  /** Sum of the natural logarithms of its tokens' probabilities. */
  readonly logProbability: number;
}

/** Natural logarithms, one a token of the turn. Throws on a value that is no log-probability. */
export function likelihoodOf(logProbabilities: readonly number[]): TurnLikelihood {
  let logProbability = 0;
  for (const [index, value] of logProbabilities.entries()) {
    // Rounding may leave a certain token a little above 0.
    if (!Number.isFinite(value) || value > 1e-3) {
      throw new Error(`The log-probability of token ${index} is ${value}; it must be a finite number, at most 0.`);
    }
    logProbability += value;
  }
  return { tokens: logProbabilities.length, logProbability };
}

/** Running over turns: exp of minus the mean log-probability of all their tokens, long turns counting more. */
export class Perplexity {
  #sum = 0;
  #tokens = 0;
  #turns = 0;

  add({ tokens, logProbability }: TurnLikelihood): void {
    this.#sum += logProbability;
    this.#tokens += tokens;
    this.#turns += 1;
  }

  snapshot(): { value: number | null; tokens: number; turns: number } {
    const value = this.#tokens === 0 ? null : Math.exp(-this.#sum / this.#tokens);
    return { value, tokens: this.#tokens, turns: this.#turns };
  }
}
