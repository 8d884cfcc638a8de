// Owns which rows stand for a whole: an order that depends on a seed and on the rows' own words, so that the first n of it are
// the same whatever the order of the file, and part of the first n + 1. It does not know what a row is.
import { createHash } from "node:crypto";

/** A row's place in the order, from 0 to 1. */
export function placeOf(text: string, seed: number): number {
  const digest = createHash("sha256").update(`${seed}\0${text}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** Keeps the first `limit` in the order of what it is shown; memory is bounded by twice that. */
export class Sample<T> {
  readonly #limit: number;
  readonly #seed: number;
  #kept: { readonly place: number; readonly arrival: number; readonly item: T }[] = [];
  #arrivals = 0;

  constructor(limit: number, seed: number) {
    this.#limit = limit;
    this.#seed = seed;
  }

  add(text: string, item: T): void {
    this.#kept.push({ place: placeOf(text, this.#seed), arrival: this.#arrivals, item });
    this.#arrivals += 1;
    if (this.#kept.length >= this.#limit * 2 + 64) this.#trim();
  }

  /** In the order in which they came. */
  items(): T[] {
    this.#trim();
    return this.#kept.toSorted((a, b) => a.arrival - b.arrival).map(({ item }) => item);
  }

  #trim(): void {
    this.#kept = this.#kept.toSorted((a, b) => a.place - b.place || a.arrival - b.arrival).slice(0, this.#limit);
  }
}
