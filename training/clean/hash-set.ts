// Owns a set of 64-bit hashes in flat memory: 8 bytes a slot, at most three quarters of the slots in use.
// A Set of strings takes over ten times that. It does not know what is hashed.

const FIRST_SLOTS = 1024;
const MAX_LOAD = 0.75;

export class HashSet64 {
  /** Two words a slot; a slot of zeros is free. */
  #words = new Uint32Array(2 * FIRST_SLOTS);
  #size = 0;

  /** Adds the hash of these two words; false when it was there. */
  add(low: number, high: number): boolean {
    // Zeros mean a free slot, so the hash 0 gives way to 1.
    const isZero = low === 0 && high === 0;
    const at = slotOf(this.#words, isZero ? 1 : low, high);
    if (at.isTaken) return false;
    this.#words[at.index] = isZero ? 1 : low;
    this.#words[at.index + 1] = high;
    this.#size += 1;
    if (this.#size > (this.#words.length / 2) * MAX_LOAD) this.#grow();
    return true;
  }

  get size(): number {
    return this.#size;
  }

  #grow(): void {
    const words = new Uint32Array(2 * this.#words.length);
    for (let from = 0; from < this.#words.length; from += 2) {
      const low = this.#words[from]!;
      const high = this.#words[from + 1]!;
      if (low === 0 && high === 0) continue;
      const { index } = slotOf(words, low, high);
      words[index] = low;
      words[index + 1] = high;
    }
    this.#words = words;
  }
}

/** Where the hash is, or where it would go. */
function slotOf(words: Uint32Array, low: number, high: number): { readonly index: number; readonly isTaken: boolean } {
  const slots = words.length / 2;
  let slot = (low ^ Math.imul(high, 0x9e3779b1)) >>> 0;
  for (; ; slot += 1) {
    const index = 2 * (slot % slots);
    if (words[index] === low && words[index + 1] === high) return { index, isTaken: true };
    if (words[index] === 0 && words[index + 1] === 0) return { index, isTaken: false };
  }
}
