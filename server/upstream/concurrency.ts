// Owns how many requests one upstream is sent at once: fewer after each rate limit, slowly more after successes, first come first served.
// It knows neither requests nor what they cost.
import { EngineError } from "../../runtime/errors.ts";

/** The right to have one request under way; `release` gives it back, once or more often. */
export interface Permit {
  succeeded(): void;
  rateLimited(): void;
  release(): void;
}

export interface ConcurrencyState {
  readonly limit: number;
  readonly running: number;
  readonly waiting: number;
}

interface Waiter {
  readonly admit: (permit: Permit) => void;
}

const decrease = 0.75;
const successesPerIncrease = 25;

/** Additive increase, multiplicative decrease, between 1 and `max`; begins at `max`. */
export class ConcurrencyLimit {
  readonly #max: number;
  readonly #maxWaiting: number;
  readonly #waiters: Waiter[] = [];
  #limit: number;
  #running = 0;
  #successes = 0;
  /** Counts decreases: of requests that were under way together, only the first rate limit is news. */
  #epoch = 0;

  constructor(max: number, maxWaiting: number) {
    this.#max = max;
    this.#maxWaiting = maxWaiting;
    this.#limit = max;
  }

  get state(): ConcurrencyState {
    return { limit: Math.floor(this.#limit), running: this.#running, waiting: this.#waiters.length };
  }

  /** Waits for a turn. Throws EngineError: `queue_full` at once, `cancelled` when the signal aborts meanwhile. */
  async acquire(signal: AbortSignal): Promise<Permit> {
    if (signal.aborted) throw cancelled();
    if (this.#waiters.length === 0 && this.#hasRoom()) return this.#admit();
    if (this.#waiters.length >= this.#maxWaiting) {
      throw new EngineError("queue_full", `${this.#waiters.length} requests already wait for this model's upstream.`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const waiter: Waiter = { admit: resolve };
    const leave = () => {
      const index = this.#waiters.indexOf(waiter);
      if (index !== -1) this.#waiters.splice(index, 1);
      reject(cancelled());
    };
    this.#waiters.push(waiter);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #hasRoom(): boolean {
    return this.#running < Math.floor(this.#limit);
  }

  #admit(): Permit {
    this.#running += 1;
    const isHeld = { value: true };
    let epoch = this.#epoch;
    return {
      succeeded: () => {
        this.#successes += 1;
        if (this.#successes < successesPerIncrease) return;
        this.#successes = 0;
        this.#limit = Math.min(this.#max, Math.floor(this.#limit) + 1);
        this.#fill();
      },
      rateLimited: () => {
        if (epoch === this.#epoch) {
          this.#epoch += 1;
          this.#limit = Math.max(1, this.#limit * decrease);
          this.#successes = 0;
        }
        // A further rate limit after a retry is news again.
        epoch = this.#epoch;
      },
      release: () => {
        if (!isHeld.value) return;
        isHeld.value = false;
        this.#running -= 1;
        this.#fill();
      },
    };
  }

  #fill(): void {
    while (this.#hasRoom()) {
      const next = this.#waiters.shift();
      if (next === undefined) return;
      next.admit(this.#admit());
    }
  }
}

const cancelled = () => new EngineError("cancelled", "The request was cancelled.");
