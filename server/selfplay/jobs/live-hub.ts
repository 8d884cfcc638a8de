// Owns the news of jobs: tokens as they are sampled, here and, through a relay, at other gateways, and that something durable was added.
// Nothing is kept: who does not listen misses it, and finds what matters in the store. It knows no transport.
import type { ModelRole } from "../../../runtime/chat-model.ts";
import type { TokenRelay } from "./token-relay.ts";

/** A piece of a turn that is being said now. */
export interface LiveToken {
  readonly dialogueIndex: number;
  /** The place that its turn will have in the dialogue's row of turns. */
  readonly ordinal: number;
  readonly role: ModelRole;
  readonly turn: number;
  readonly text: string;
}

interface Listener {
  /** null: something was added to the store. */
  (token: LiveToken | null): void;
}

type Relay = Pick<TokenRelay, "watch" | "unwatch" | "isWanted" | "pass" | "flush" | "caughtUp">;

export class LiveHub {
  readonly #listeners = new Map<string, Set<Listener>>();
  #relay: Relay | null = null;

  /** From now on readers at other gateways are told too, and readers here of what is said there. */
  attach(relay: Relay): void {
    this.#relay = relay;
    for (const jobId of this.#listeners.keys()) relay.watch(jobId);
  }

  /** Calls `listener` until the returned function is called. */
  listen(jobId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set();
    if (listeners.size === 0) this.#relay?.watch(jobId);
    this.#listeners.set(jobId, listeners);
    listeners.add(listener);
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      this.#listeners.delete(jobId);
      this.#relay?.unwatch(jobId);
    };
  }

  /** Whether building news of a job is worth it. */
  hasListeners(jobId: string): boolean {
    return this.#listeners.has(jobId) || this.#relay?.isWanted(jobId) === true;
  }

  /** Tells what was said or written here. */
  tell(jobId: string, token: LiveToken | null): void {
    this.deliver(jobId, token);
    if (token !== null) this.#relay?.pass(jobId, token);
  }

  /** Tells readers here alone. */
  deliver(jobId: string, token: LiveToken | null): void {
    for (const listener of this.#listeners.get(jobId) ?? []) listener(token);
  }

  /** Resolves when every token told so far is on its way to other gateways. */
  async settle(): Promise<void> {
    await this.#relay?.flush();
  }

  /** Resolves when every token that other gateways have sent so far was delivered here. */
  async caughtUp(): Promise<void> {
    await this.#relay?.caughtUp();
  }
}
