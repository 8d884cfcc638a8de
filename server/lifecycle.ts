// Owns whether the server still admits work: running → draining → stopping, and never back.
// It knows neither sockets nor requests; those who hold them ask or listen here.

export interface Lifecycle {
  readonly isDraining: boolean;
  /** Aborts when the time to finish is over: what still runs must stop at its next step. */
  readonly stopSignal: AbortSignal;
  /** From now on nothing new is admitted; what runs may finish. */
  drain(): void;
  /** Ends what still runs. Drains first if that has not happened. */
  stop(): void;
}

export function createLifecycle(): Lifecycle {
  const stopping = new AbortController();
  let isDraining = false;
  return {
    get isDraining() {
      return isDraining;
    },
    stopSignal: stopping.signal,
    drain() {
      isDraining = true;
    },
    stop() {
      isDraining = true;
      stopping.abort();
    },
  };
}
