// Owns how a number is spread over many things: mean and percentiles, exact at any moment.
// Whole and half numbers, which come again and again, are counted; others are kept, eight bytes each. It does not know what they count.
import { NumberList } from "./number-list.ts";

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
  readonly #times = new Map<number, number>();
  readonly #others = new NumberList((length) => new Float64Array(length));
  #count = 0;
  #sum = 0;

  add(value: number): void {
    if (Number.isInteger(2 * value)) this.#times.set(value, (this.#times.get(value) ?? 0) + 1);
    else this.#others.push(value);
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
    for (const value of this.#different()) {
      const bin = edges.findLastIndex((edge) => edge <= value);
      if (bin >= 0) counts[bin]! += this.#timesOf(value);
    }
    return counts;
  }

  summary(): DistributionSummary {
    const values = this.#different();
    /** Behind the last of each value. */
    const ends = new Float64Array(values.length);
    for (const [index, value] of values.entries()) ends[index] = (ends[index - 1] ?? 0) + this.#timesOf(value);
    const valueAt = (rank: number): number => values[firstAbove(ends, rank)]!;
    const at = (share: number): number | null => (this.#count === 0 ? null : between(valueAt, share, this.#count));
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

  /** In rising order; those that are kept one by one as often as they came. */
  #different(): Float64Array {
    const values = new Float64Array(this.#times.size + this.#others.length);
    values.set([...this.#times.keys()]);
    for (let index = 0; index < this.#others.length; index += 1)
      values[this.#times.size + index] = this.#others.at(index);
    return values.toSorted();
  }

  #timesOf(value: number): number {
    return this.#times.get(value) ?? 1;
  }
}

/** The first place whose value is above; values rise. */
function firstAbove(values: Float64Array, bound: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Of values in rising order; `share` from 0 to 1. */
export function percentile(sorted: ArrayLike<number>, share: number): number | null {
  return sorted.length === 0 ? null : between((rank) => sorted[rank]!, share, sorted.length);
}

function between(valueAt: (rank: number) => number, share: number, count: number): number {
  const position = share * (count - 1);
  const low = valueAt(Math.floor(position));
  const high = valueAt(Math.ceil(position));
  return low + (high - low) * (position - Math.floor(position));
}
