// Owns what is opened when it is first needed, and tried again by whoever comes next where that failed. It does not know what it is.

export class Opening<T> {
  readonly #open: () => Promise<T>;
  #opened: Promise<T> | null = null;

  constructor(open: () => Promise<T>) {
    this.#open = open;
  }

  /** What was opened; opened now if it was not yet. */
  get(): Promise<T> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  /** The same where somebody needed it before; null otherwise, and where it could not be opened. */
  async current(): Promise<T | null> {
    return (await this.#opened?.catch(() => null)) ?? null;
  }
}
