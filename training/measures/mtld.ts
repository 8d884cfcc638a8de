// Owns MTLD, the measure of textual lexical diversity (McCarthy and Jarvis 2010), in LexicalRichness 0.5.1's arithmetic:
// equal words give an equal double. It does not know how text becomes words.
import { NumberList } from "./number-list.ts";
import { ownCopy, richnessWords } from "./words.ts";

const THRESHOLD = 0.72;

/** MTLD of a text; null when it has no words. */
export function mtldOfText(text: string): number | null {
  const vocabulary = new WordIds();
  vocabulary.push(richnessWords(text));
  return vocabulary.mtld();
}

/** A growing text as numbers, four bytes a word, so that the MTLD of all of it can be asked for at any time. */
export class WordIds {
  readonly #mostWords: number;
  readonly #idOf = new Map<string, number>();
  readonly #ids = new NumberList((length) => new Int32Array(length));
  #beyondLimit = 0;

  /** Words beyond `mostWords` are left out. */
  constructor(mostWords = Number.POSITIVE_INFINITY) {
    this.#mostWords = mostWords;
  }

  get length(): number {
    return this.#ids.length;
  }

  /** Words that were left out. */
  get beyondLimit(): number {
    return this.#beyondLimit;
  }

  push(words: readonly string[]): void {
    for (const word of words) {
      if (this.#ids.length >= this.#mostWords) {
        this.#beyondLimit += 1;
        continue;
      }
      let id = this.#idOf.get(word);
      if (id === undefined) {
        id = this.#idOf.size;
        this.#idOf.set(ownCopy(word), id);
      }
      this.#ids.push(id);
    }
  }

  /** Mean of both reading directions; null without words. Takes time in proportion to the text. */
  mtld(): number | null {
    const { length } = this.#ids;
    if (length === 0) return null;
    const forward = length / factorCount(length, (index) => this.#ids.at(index), this.#idOf.size);
    const backward = length / factorCount(length, (index) => this.#ids.at(length - 1 - index), this.#idOf.size);
    return (forward + backward) / 2;
  }
}

function factorCount(length: number, idAt: (index: number) => number, distinctOfAll: number): number {
  // A word is in the current segment's set when its mark is that segment's number.
  const marks = new Int32Array(distinctOfAll);
  let segment = 1;
  let words = 0;
  let distinct = 0;
  let ratio = 0;
  let factors = 0;
  for (let index = 0; index < length; index += 1) {
    const id = idAt(index);
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
  const whole = distinctOfAll / length;
  return whole === 1 ? 1 : (1 - whole) / (1 - THRESHOLD);
}
