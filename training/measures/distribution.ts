// Owns how a number is spread over many things: mean and percentiles, exact at any moment.
// Values are kept, eight bytes each; it does not know what they count.

/** Null throughout while nothing was added. Percentiles lie between their neighbours in proportion (NumPy's default). */
export interface DistributionSummary {
  readonly n: number;
  readonly mean: number | null;
  readonly min: number | null;
  readonly p10: number | null;
  readonly p25: number | null;
  readonly p50: number | null;
  readonly p75: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** Collects values in any order. */
export class Distribution {
  #values = new Float64Array(64);
  #count = 0;
  #sum = 0;

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count] = value;
    this.#count += 1;
    this.#sum += value;
  }

  get count(): number {
    return this.#count;
  }

  get mean(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }

  /** How many values lie from each edge up to, but not including, the next; behind the last edge all. Edges rise. */
  countsBetween(edges: readonly number[]): number[] {
    const counts = Array.from({ length: edges.length }, () => 0);
    for (const value of this.#values.subarray(0, this.#count)) {
      const bin = edges.findLastIndex((edge) => edge <= value);
      if (bin >= 0) counts[bin]! += 1;
    }
    return counts;
  }

  summary(): DistributionSummary {
    const sorted = this.#values.slice(0, this.#count).toSorted();
    const at = (share: number): number | null => percentile(sorted, share);
    return {
      n: this.#count,
      mean: this.mean,
      min: at(0),
      p10: at(0.1),
      p25: at(0.25),
      p50: at(0.5),
      p75: at(0.75),
      p90: at(0.9),
      p99: at(0.99),
      max: at(1),
    };
  }
}

/** Of values in rising order; `share` from 0 to 1. */
export function percentile(sorted: ArrayLike<number>, share: number): number | null {
  if (sorted.length === 0) return null;
  const position = share * (sorted.length - 1);
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position - Math.floor(position));
}
