// Owns how a question becomes a vector: the interface, and an encoder that needs no model
// (hashed characters 3- to 5-grams, TF-IDF, unit length). It does not know what vectors are compared for.
import { eachCharGram } from "./hashing.ts";
import { inverseFrequencies } from "./encoder-idf.ts";
import { normaliseText } from "./words.ts";

export interface SentenceEncoder {
  /** Name and version: values under different names may not be compared. */
  readonly name: string;
  readonly dimensions: number;
  /** A vector of length 1; all zeros for a text without content. It may be `into`, whose values nobody needs any more. */
  encode(text: string, into?: Float32Array): Float32Array;
}

const MIN_GRAM = 3;
const MAX_GRAM = 5;
/** Code units looked at; later ones are cut off, as a model's window would. */
const MAX_LENGTH = 8192;

export const IDF_DIMENSIONS = 4096;

/** Of each dimension, how rare it is: 1 + ln((1 + texts) / (1 + texts with it)). */
export function fitInverseFrequencies(texts: Iterable<string>): Float64Array {
  const textsWith = new Float64Array(IDF_DIMENSIONS);
  const grams = new GramCounts();
  let count = 0;
  for (const text of texts) {
    count += 1;
    for (const dimension of grams.of(text)) textsWith[dimension]! += 1;
  }
  return textsWith.map((seen) => 1 + Math.log((1 + count) / (1 + seen)));
}

/** The encoder used unless another is configured. Rarity comes from a fixed table, so a vector never depends on the job. */
export function hashedGramEncoder(idf: ArrayLike<number> = inverseFrequencies()): SentenceEncoder {
  const grams = new GramCounts();
  return {
    name: "hashed-char-3-5-tfidf/1",
    dimensions: IDF_DIMENSIONS,
    encode(text, into) {
      const vector = into?.fill(0) ?? new Float32Array(IDF_DIMENSIONS);
      const dimensions = grams.of(text);
      let squares = 0;
      for (const dimension of dimensions) {
        const weight = (1 + Math.log(grams.count(dimension))) * idf[dimension]!;
        vector[dimension] = weight;
        squares += weight * weight;
      }
      const norm = Math.sqrt(squares);
      for (const dimension of dimensions) vector[dimension]! /= norm;
      return vector;
    },
  };
}

/** How often each dimension's grams come in the latest text; one array serves all texts. */
class GramCounts {
  readonly #counts = new Uint16Array(IDF_DIMENSIONS);
  #dimensions: number[] = [];

  /** The dimensions of a text's grams, in the order in which they first come. */
  of(text: string): readonly number[] {
    for (const dimension of this.#dimensions) this.#counts[dimension] = 0;
    const dimensions: number[] = [];
    const content = normaliseText(text).slice(0, MAX_LENGTH);
    if (content !== "") {
      // Spaces at both ends tell the beginning and end of words apart from their middle.
      eachCharGram(` ${content} `, MIN_GRAM, MAX_GRAM, (hash) => {
        const dimension = hash % IDF_DIMENSIONS;
        if (this.#counts[dimension] === 0) dimensions.push(dimension);
        this.#counts[dimension]! += 1;
      });
    }
    this.#dimensions = dimensions;
    return dimensions;
  }

  count(dimension: number): number {
    return this.#counts[dimension]!;
  }
}
