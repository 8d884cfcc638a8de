// Owns the hand-over from a producer that never waits to one consumer that iterates. It does not know what the events are.

export interface EventQueue<Event> {
  push(event: Event): void;
  /** No more events; those pushed are still delivered. */
  end(): void;
  /** The consumer's loop throws this once it has seen the events pushed before. */
  fail(error: unknown): void;
  /** To be iterated once. */
  readonly events: AsyncIterable<Event>;
}

/** `onLeave` is called once if the consumer leaves its loop before the last event. */
export function createEventQueue<Event>(onLeave: () => void): EventQueue<Event> {
  const pending: Event[] = [];
  let outcome: { readonly error: unknown } | "ended" | null = null;
  let wake: (() => void) | null = null;
  const notify = (): void => {
    wake?.();
    wake = null;
  };
  async function* iterate(): AsyncGenerator<Event> {
    try {
      while (true) {
        while (pending.length > 0) yield pending.shift()!;
        if (outcome === "ended") return;
        if (outcome !== null) throw outcome.error;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      if (outcome === null) onLeave();
    }
  }
  return {
    push(event) {
      pending.push(event);
      notify();
    },
    end() {
      outcome ??= "ended";
      notify();
    },
    fail(error) {
      outcome ??= { error };
      notify();
    },
    events: iterate(),
  };
}
