// Owns finding texts that were there before: word for word, or nearly so (MinHash over shingles of five words).
// It knows texts and ids; how signatures are found again is near-index.ts's.
import { wordShingles } from "./hashing.ts";
import { minHash } from "./min-hash.ts";
import { NearIndex } from "./near-index.ts";
import { NumberList } from "./number-list.ts";
import { SeenTexts } from "./seen-texts.ts";
import { normalisedWords, normaliseText, ownCopy } from "./words.ts";

const SHINGLE_WORDS = 5;

export interface DuplicateMatch {
  readonly kind: "exact" | "near";
  readonly id: string;
}

/** Remembers every text that repeats none before it; near duplicates are looked for among the first `mostCompared` of them. */
export class DuplicateIndex {
  readonly #mostCompared: number;
  readonly #texts = new SeenTexts();
  /** By the number of the text. A near duplicate has one too, so that its exact copy is told apart as exact. */
  readonly #ids: string[] = [];
  readonly #near = new NearIndex();
  /** By the place of the signature, the number of its text. */
  readonly #numbers = new NumberList((length) => new Uint32Array(length));
  #beyondLimit = 0;

  constructor(mostCompared = Number.POSITIVE_INFINITY) {
    this.#mostCompared = mostCompared;
  }

  /** Texts with which no later one was compared for near duplicates. */
  get beyondLimit(): number {
    return this.#beyondLimit;
  }

  /** The text that this one repeats, or null: then it is remembered. */
  add(id: string, text: string): DuplicateMatch | null {
    const normalised = normaliseText(text);
    const { number, isNew } = this.#texts.see(normalised);
    if (!isNew) return { kind: "exact", id: this.#ids[number]! };
    this.#ids.push(ownCopy(id));
    const signature = minHash(wordShingles(normalisedWords(normalised), SHINGLE_WORDS));
    const near = this.#near.find(signature);
    if (near !== null) return { kind: "near", id: this.#ids[this.#numbers.at(near)]! };
    if (this.#near.size >= this.#mostCompared) {
      this.#beyondLimit += 1;
      return null;
    }
    this.#near.add(signature);
    this.#numbers.push(number);
    return null;
  }
}
