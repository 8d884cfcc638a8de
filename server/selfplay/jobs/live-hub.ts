// Owns the news of jobs inside this process: tokens as they are sampled, and that something durable was added.
// Nothing is kept: who does not listen misses it, and finds what matters in the store. It knows no transport.
import type { ModelRole } from "../../../runtime/chat-model.ts";

/** A piece of a turn that is being said now, at this gateway. */
export interface LiveToken {
  readonly dialogueIndex: number;
  readonly role: ModelRole;
  readonly turn: number;
  readonly text: string;
}

interface Listener {
  /** null: something was added to the store. */
  (token: LiveToken | null): void;
}

export class LiveHub {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** Calls `listener` until the returned function is called. */
  listen(jobId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set();
    this.#listeners.set(jobId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(jobId);
    };
  }

  /** Whether building news of a job is worth it. */
  hasListeners(jobId: string): boolean {
    return this.#listeners.has(jobId);
  }

  tell(jobId: string, token: LiveToken | null): void {
    for (const listener of this.#listeners.get(jobId) ?? []) listener(token);
  }
}
