// Owns finding, among many MinHash signatures, one that is nearly the same: each is compared only with the few that share a band
// of its values. Flat memory: about 740 bytes a signature. It knows neither texts nor ids.
import { mix32 } from "./hashing.ts";
import { SIGNATURE_LENGTH } from "./min-hash.ts";

/** From this estimated Jaccard similarity on, two texts are near duplicates. */
const NEAR_DUPLICATE_JACCARD = 0.8;
const LEAST_EQUAL = NEAR_DUPLICATE_JACCARD * SIGNATURE_LENGTH;
/** 21 bands of 6 values let a pair of similarity 0.8 meet with probability 1 − (1 − 0.8⁶)²¹ = 0.998. */
const BANDS = 21;
const BAND_VALUES = Math.floor(SIGNATURE_LENGTH / BANDS);

const FIRST_BUCKETS = 256;
/** Signatures of a piece of memory: pieces are never copied. */
const PIECE_BITS = 6;
const PIECE_LENGTH = 1 << PIECE_BITS;
const NONE = -1;

export class NearIndex {
  readonly #signatures: Uint32Array[] = [];
  /** Of each signature and band, the one before it in its bucket. */
  readonly #previous: Int32Array[] = [];
  /** Of each band and bucket, the latest signature in it. */
  #heads = new Int32Array(BANDS * FIRST_BUCKETS).fill(NONE);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The place of a signature that is nearly the same, or null. Of several, the latest one of the first band that they share. */
  find(signature: Uint32Array): number | null {
    const compared = new Set<number>();
    for (let band = 0; band < BANDS; band += 1) {
      const key = bandKey(signature, 0, band);
      let index = this.#heads[this.#bucketOf(key, band)]!;
      for (; index !== NONE; index = this.#previousOf(index, band)) {
        if (compared.has(index)) continue;
        const [piece, from] = this.#placeOf(index);
        if (bandKey(piece, from, band) !== key) continue;
        compared.add(index);
        if (equalValues(signature, piece, from) >= LEAST_EQUAL) return index;
      }
    }
    return null;
  }

  /** Remembers a signature; its place is the number of those before it. */
  add(signature: Uint32Array): void {
    if (this.#size === this.#heads.length / BANDS) this.#spread();
    if (this.#size % PIECE_LENGTH === 0) {
      this.#signatures.push(new Uint32Array(PIECE_LENGTH * SIGNATURE_LENGTH));
      this.#previous.push(new Int32Array(PIECE_LENGTH * BANDS));
    }
    const [piece, from] = this.#placeOf(this.#size);
    piece.set(signature, from);
    this.#link(this.#size);
    this.#size += 1;
  }

  /** Twice as many buckets. */
  #spread(): void {
    this.#heads = new Int32Array(2 * this.#heads.length).fill(NONE);
    for (let index = 0; index < this.#size; index += 1) this.#link(index);
  }

  #link(index: number): void {
    const [piece, from] = this.#placeOf(index);
    const previous = this.#previous[index >> PIECE_BITS]!;
    const place = (index & (PIECE_LENGTH - 1)) * BANDS;
    for (let band = 0; band < BANDS; band += 1) {
      const bucket = this.#bucketOf(bandKey(piece, from, band), band);
      previous[place + band] = this.#heads[bucket]!;
      this.#heads[bucket] = index;
    }
  }

  #placeOf(index: number): readonly [Uint32Array, number] {
    return [this.#signatures[index >> PIECE_BITS]!, (index & (PIECE_LENGTH - 1)) * SIGNATURE_LENGTH];
  }

  #previousOf(index: number, band: number): number {
    return this.#previous[index >> PIECE_BITS]![(index & (PIECE_LENGTH - 1)) * BANDS + band]!;
  }

  #bucketOf(key: number, band: number): number {
    const buckets = this.#heads.length / BANDS;
    return band * buckets + (key % buckets);
  }
}

function bandKey(values: Uint32Array, from: number, band: number): number {
  let h = 0;
  const first = from + band * BAND_VALUES;
  for (let at = first; at < first + BAND_VALUES; at += 1) h = mix32(Math.imul(h, 31) ^ values[at]!);
  return h;
}

function equalValues(a: Uint32Array, b: Uint32Array, fromB: number): number {
  let equal = 0;
  for (let at = 0; at < SIGNATURE_LENGTH; at += 1) if (a[at] === b[fromB + at]) equal += 1;
  return equal;
}
