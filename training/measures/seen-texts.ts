// Owns telling whether a text was there before, by 64 bits of its hash in flat memory: 12 bytes a slot, three eighths to three
// quarters of the slots in use. A map of digests takes ten times that. It keeps no text.
import { hash } from "node:crypto";

const FIRST_SLOTS = 1024;
const MAX_LOAD = 0.75;
/** Words of a slot: two of the hash, and the text's number plus one; 0 is a free slot. */
const WORDS = 3;

/** Numbers different texts in the order in which they first come. At ten million a false match has a chance of 1 in 370,000. */
export class SeenTexts {
  #words = new Uint32Array(WORDS * FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The text's number, from 0. */
  see(text: string): { readonly number: number; readonly isNew: boolean } {
    const digest = hash("sha256", text, "buffer");
    const low = digest.readUInt32LE(0);
    const high = digest.readUInt32LE(4);
    const at = slotOf(this.#words, low, high);
    const known = this.#words[at + 2]!;
    if (known !== 0) return { number: known - 1, isNew: false };
    this.#size += 1;
    fill(this.#words, at, low, high, this.#size);
    if (this.#size > (this.#words.length / WORDS) * MAX_LOAD) this.#grow();
    return { number: this.#size - 1, isNew: true };
  }

  #grow(): void {
    const words = new Uint32Array(2 * this.#words.length);
    for (let from = 0; from < this.#words.length; from += WORDS) {
      const [low, high, number] = [this.#words[from]!, this.#words[from + 1]!, this.#words[from + 2]!];
      if (number !== 0) fill(words, slotOf(words, low, high), low, high, number);
    }
    this.#words = words;
  }
}

/** Where the hash is, or where it would go. */
function slotOf(words: Uint32Array, low: number, high: number): number {
  const slots = words.length / WORDS;
  for (let slot = low % slots; ; slot = (slot + 1) % slots) {
    const at = WORDS * slot;
    if (words[at + 2] === 0 || (words[at] === low && words[at + 1] === high)) return at;
  }
}

function fill(words: Uint32Array, at: number, low: number, high: number, number: number): void {
  words[at] = low;
  words[at + 1] = high;
  words[at + 2] = number;
}
