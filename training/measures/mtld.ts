// Owns MTLD, the measure of textual lexical diversity (McCarthy and Jarvis 2010), in LexicalRichness 0.5.1's arithmetic:
// equal words give an equal double. It does not know how text becomes words.
import { richnessWords } from "./words.ts";

const THRESHOLD = 0.72;

/** MTLD of a text; null when it has no words. */
export function mtldOfText(text: string): number | null {
  const vocabulary = new WordIds();
  vocabulary.push(richnessWords(text));
  return vocabulary.mtld();
}

/** A growing text as numbers, four bytes a word, so that the MTLD of all of it can be asked for at any time. */
export class WordIds {
  readonly #idOf = new Map<string, number>();
  #ids = new Int32Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(words: readonly string[]): void {
    const needed = this.#length + words.length;
    if (needed > this.#ids.length) {
      const grown = new Int32Array(Math.max(needed, this.#ids.length * 2));
      grown.set(this.#ids);
      this.#ids = grown;
    }
    for (const word of words) {
      let id = this.#idOf.get(word);
      if (id === undefined) {
        id = this.#idOf.size;
        this.#idOf.set(word, id);
      }
      this.#ids[this.#length] = id;
      this.#length += 1;
    }
  }

  /** Mean of both reading directions; null without words. Takes time in proportion to the text. */
  mtld(): number | null {
    if (this.#length === 0) return null;
    const ids = this.#ids.subarray(0, this.#length);
    const forward = this.#length / factorCount(ids, this.#idOf.size);
    const backward = this.#length / factorCount(ids.toReversed(), this.#idOf.size);
    return (forward + backward) / 2;
  }
}

function factorCount(ids: Int32Array, distinctOfAll: number): number {
  // A word is in the current segment's set when its mark is that segment's number.
  const marks = new Int32Array(distinctOfAll);
  let segment = 1;
  let words = 0;
  let distinct = 0;
  let ratio = 0;
  let factors = 0;
  for (const id of ids) {
    words += 1;
    if (marks[id] !== segment) {
      marks[id] = segment;
      distinct += 1;
    }
    ratio = distinct / words;
    if (ratio <= THRESHOLD) {
      segment += 1;
      words = 0;
      distinct = 0;
      factors += 1;
    }
  }
  if (words > 0) factors += (1 - ratio) / (1 - THRESHOLD);
  if (factors > 0) return factors;
  const whole = distinctOfAll / ids.length;
  return whole === 1 ? 1 : (1 - whole) / (1 - THRESHOLD);
}
