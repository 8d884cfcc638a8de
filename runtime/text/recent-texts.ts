// Owns remembering what the latest texts became, for work that comes back to a text soon after: a session is measured before it is cut,
// and its pieces are encoded then. Memory is bounded by the length of all texts together. It knows no tokenizer.

export class RecentTexts {
  readonly #mostUnits: number;
  readonly #ids = new Map<string, readonly number[]>();
  #units = 0;

  constructor(mostUnits: number) {
    this.#mostUnits = mostUnits;
  }

  get(text: string): readonly number[] | undefined {
    return this.#ids.get(text);
  }

  /** Forgets the oldest where there is no room. */
  set(text: string, ids: readonly number[]): void {
    if (text.length > this.#mostUnits || this.#ids.has(text)) return;
    this.#ids.set(text, ids);
    this.#units += text.length;
    for (const oldest of this.#ids.keys()) {
      if (this.#units <= this.#mostUnits) break;
      this.#ids.delete(oldest);
      this.#units -= oldest.length;
    }
  }
}
