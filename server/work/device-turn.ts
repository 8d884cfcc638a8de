// Owns whose turn it is to train on this gateway's device: of fine-tuning jobs and loops, one at a time. It knows neither.

export class DeviceTurn {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /**
   * What `find` finds to do, which has the turn until it calls the function it was given. null when that is nothing, or while somebody
   * else has the turn.
   */
  async take<W>(find: (giveBack: () => void) => Promise<W | null>): Promise<W | null> {
    if (this.#isTaken) return null;
    this.#isTaken = true;
    let found: W | null = null;
    try {
      found = await find(() => this.#giveBack());
    } finally {
      // Nobody is woken: whoever found nothing would wake itself without end.
      if (found === null) this.#isTaken = false;
    }
    return found;
  }

  /** Calls `wake` whenever the turn is given back. */
  onFree(wake: () => void): void {
    this.#waiting.push(wake);
  }

  #giveBack(): void {
    this.#isTaken = false;
    for (const wake of this.#waiting) wake();
  }
}
