// Owns how a question becomes a vector: the interface, and an encoder that needs no model
// (hashed characters 3- to 5-grams, TF-IDF, unit length). It does not know what vectors are compared for.
import { eachCharGram } from "./hashing.ts";
import { inverseFrequencies } from "./encoder-idf.ts";
import { normaliseText } from "./words.ts";

export interface SentenceEncoder {
  /** Name and version: values under different names may not be compared. */
  readonly name: string;
  readonly dimensions: number;
  /** A vector of length 1; all zeros for a text without content. */
  encode(text: string): Float32Array;
}

const MIN_GRAM = 3;
const MAX_GRAM = 5;
/** Code units looked at; later ones are cut off, as a model's window would. */
const MAX_LENGTH = 8192;

export const IDF_DIMENSIONS = 4096;

/** Of each dimension, how rare it is: 1 + ln((1 + texts) / (1 + texts with it)). */
export function fitInverseFrequencies(texts: Iterable<string>): Float64Array {
  const textsWith = new Float64Array(IDF_DIMENSIONS);
  let count = 0;
  for (const text of texts) {
    count += 1;
    for (const dimension of gramCounts(text).keys()) textsWith[dimension]! += 1;
  }
  return textsWith.map((seen) => 1 + Math.log((1 + count) / (1 + seen)));
}

/** The encoder used unless another is configured. Rarity comes from a fixed table, so a vector never depends on the job. */
export function hashedGramEncoder(idf: ArrayLike<number> = inverseFrequencies()): SentenceEncoder {
  return {
    name: "hashed-char-3-5-tfidf/1",
    dimensions: IDF_DIMENSIONS,
    encode(text) {
      const vector = new Float32Array(IDF_DIMENSIONS);
      let squares = 0;
      for (const [dimension, count] of gramCounts(text)) {
        const weight = (1 + Math.log(count)) * idf[dimension]!;
        vector[dimension] = weight;
        squares += weight * weight;
      }
      if (squares > 0) {
        const norm = Math.sqrt(squares);
        for (let index = 0; index < IDF_DIMENSIONS; index += 1) vector[index]! /= norm;
      }
      return vector;
    },
  };
}

function gramCounts(text: string): Map<number, number> {
  const counts = new Map<number, number>();
  const content = normaliseText(text).slice(0, MAX_LENGTH);
  if (content === "") return counts;
  // Spaces at both ends tell the beginning and end of words apart from their middle.
  eachCharGram(` ${content} `, MIN_GRAM, MAX_GRAM, (hash) => {
    const dimension = hash % IDF_DIMENSIONS;
    counts.set(dimension, (counts.get(dimension) ?? 0) + 1);
  });
  return counts;
}
