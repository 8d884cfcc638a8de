// Owns byte-pair encoding of one short word, in numbers: characters become ids, and the pair with the lowest rank is merged, the
// leftmost first, until none is left. The tokenizer library does the same with strings and a heap, which pays for long texts only.
// It knows no pre-tokenization, and gives up where something is not in the vocabulary.
import { isScored, type VocabularyJson } from "./tokenizer-json.ts";

/** Code points; longer words are better merged with a heap. */
const MOST_PARTS = 64;

/** The ids of a word, or null: ask the library. */
type MergeWord = (word: string) => number[] | null;

/** Null for a vocabulary that needs more than merging: prefixes, suffixes, chance, merged tokens without an id. */
export function createMergeWord(model: VocabularyJson): MergeWord | null {
  const { vocab, merges } = model;
  if ((model.type ?? "BPE") !== "BPE" || isScored(vocab) || merges === undefined || needsMore(model)) return null;
  const idOf = new Map(Object.entries(vocab));
  const pairs = new PairTable(merges.length);
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = typeof merge === "string" ? merge.split(" ", 2) : merge;
    const ids = [left, right, `${left}${right}`].map((token) => idOf.get(token ?? ""));
    const [leftId, rightId, mergedId] = ids;
    // A pair that has no ids cannot come about.
    if (leftId === undefined || rightId === undefined) continue;
    if (mergedId === undefined) return null;
    pairs.set(leftId, rightId, rank, mergedId);
  }
  const isWhole = model.ignore_merges === true;
  return (word) => {
    if (isWhole) {
      const whole = idOf.get(word);
      if (whole !== undefined) return [whole];
    }
    const parts: number[] = [];
    for (const character of word) {
      const id = idOf.get(character);
      if (id === undefined || parts.length === MOST_PARTS) return null;
      parts.push(id);
    }
    return merged(parts, pairs);
  };
}

const additions: ReadonlySet<string> = new Set([
  "dropout",
  "continuing_subword_prefix",
  "continuing_subword_suffix",
  "end_of_word_suffix",
]);

function needsMore(model: VocabularyJson): boolean {
  const said = Object.entries(model).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return said.some(([name]) => additions.has(name));
}

function merged(parts: number[], pairs: PairTable): number[] {
  /** Of each part with the next one, where their merge stands in the table; -1 for none. */
  const places = parts.map((part, index) => (index + 1 < parts.length ? pairs.find(part, parts[index + 1]!) : -1));
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let index = 0; index < places.length; index += 1) {
      const place = places[index]!;
      if (place === -1 || pairs.rankAt(place) >= bestRank) continue;
      best = index;
      bestRank = pairs.rankAt(place);
    }
    if (best === -1) return parts;
    parts[best] = pairs.mergedAt(places[best]!);
    parts.splice(best + 1, 1);
    places.splice(best, 1);
    if (best > 0) places[best - 1] = pairs.find(parts[best - 1]!, parts[best]!);
    places[best] = best + 1 < parts.length ? pairs.find(parts[best]!, parts[best + 1]!) : -1;
  }
}

const WORDS = 4;

/** Pairs of ids → rank and merged id, in flat memory. */
class PairTable {
  readonly #mask: number;
  /** Left and right id plus one, rank, merged id. */
  readonly #words: Int32Array;

  constructor(pairs: number) {
    const slots = 2 ** Math.ceil(Math.log2(2 * pairs + 2));
    this.#mask = slots - 1;
    this.#words = new Int32Array(WORDS * slots);
  }

  /** Said twice, the later rank counts. */
  set(left: number, right: number, rank: number, mergedId: number): void {
    const at = this.#slotOf(left, right);
    this.#words.set([left + 1, right + 1, rank, mergedId], at);
  }

  /** The pair's place, or -1. */
  find(left: number, right: number): number {
    const at = this.#slotOf(left, right);
    return this.#words[at] === 0 ? -1 : at;
  }

  rankAt(place: number): number {
    return this.#words[place + 2]!;
  }

  mergedAt(place: number): number {
    return this.#words[place + 3]!;
  }

  #slotOf(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    slot ^= slot >>> 15;
    for (; ; slot += 1) {
      const at = WORDS * (slot & this.#mask);
      if (this.#words[at] === 0) return at;
      if (this.#words[at] === left + 1 && this.#words[at + 1] === right + 1) return at;
    }
  }
}
