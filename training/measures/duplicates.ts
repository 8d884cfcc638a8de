// Owns finding texts that were there before: word for word, or nearly so (MinHash over shingles of five words).
// It knows texts and ids, and compares each only with the few that share a band of its signature.
import { createHash } from "node:crypto";
import { mix32, wordShingles } from "./hashing.ts";
import { SIGNATURE_LENGTH, estimateJaccard, minHash } from "./min-hash.ts";
import { normaliseText, plainWords } from "./words.ts";

const SHINGLE_WORDS = 5;
/** From this estimated Jaccard similarity on, two texts are near duplicates. */
const NEAR_DUPLICATE_JACCARD = 0.8;
/** 21 bands of 6 values let a pair of similarity 0.8 meet with probability 1 − (1 − 0.8⁶)²¹ = 0.998. */
const BANDS = 21;
const BAND_VALUES = Math.floor(SIGNATURE_LENGTH / BANDS);

export interface DuplicateMatch {
  readonly kind: "exact" | "near";
  readonly id: string;
}

/** Remembers every text that repeats none before it. */
export class DuplicateIndex {
  readonly #exact = new Map<string, string>();
  readonly #ids: string[] = [];
  readonly #signatures: Uint32Array[] = [];
  /** Band value → the latest text with it; `#previous` leads to the ones before. */
  readonly #heads = Array.from({ length: BANDS }, () => new Map<number, number>());
  readonly #previous: Int32Array[] = [];

  /** The text that this one repeats, or null: then it is remembered. */
  add(id: string, text: string): DuplicateMatch | null {
    const digest = createHash("sha256").update(normaliseText(text)).digest("base64");
    const same = this.#exact.get(digest);
    if (same !== undefined) return { kind: "exact", id: same };
    const signature = minHash(wordShingles(plainWords(text), SHINGLE_WORDS));
    const near = this.#findNear(signature);
    // The digest of a near duplicate is kept too, so that its exact copy is told apart as exact.
    this.#exact.set(digest, id);
    if (near !== null) return { kind: "near", id: near };
    this.#insert(id, signature);
    return null;
  }

  #findNear(signature: Uint32Array): string | null {
    const compared = new Set<number>();
    for (const [band, heads] of this.#heads.entries()) {
      let index = heads.get(bandKey(signature, band)) ?? -1;
      for (; index !== -1; index = this.#previous[index]![band]!) {
        if (compared.has(index)) continue;
        compared.add(index);
        if (estimateJaccard(signature, this.#signatures[index]!) >= NEAR_DUPLICATE_JACCARD) return this.#ids[index]!;
      }
    }
    return null;
  }

  #insert(id: string, signature: Uint32Array): void {
    const index = this.#ids.length;
    const previous = new Int32Array(BANDS);
    for (const [band, heads] of this.#heads.entries()) {
      const key = bandKey(signature, band);
      previous[band] = heads.get(key) ?? -1;
      heads.set(key, index);
    }
    this.#ids.push(id);
    this.#signatures.push(signature);
    this.#previous.push(previous);
  }
}

function bandKey(signature: Uint32Array, band: number): number {
  let h = 0;
  for (let index = band * BAND_VALUES; index < (band + 1) * BAND_VALUES; index += 1) {
    h = mix32(Math.imul(h, 31) ^ signature[index]!);
  }
  return h;
}
