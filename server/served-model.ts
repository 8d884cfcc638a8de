// Owns one loaded model's way out: knows who still uses it, and closes it when nobody does. What runs ends on the weights that it
// began with; whoever comes later is passed on to the model that took its place.
// It knows neither folders nor what took its place: that is asked for.
import type { ChatEvent, ChatModel } from "../runtime/chat-model.ts";
import { EngineError } from "../runtime/errors.ts";

export interface ServedModel {
  /** What everybody is given. */
  readonly model: ChatModel;
  /** Somebody was given it: it is not closed at once, as a request looks a model up shortly before it asks it. */
  touch(): void;
  /**
   * Takes it out of service; it must not be handed out any more. Resolves when it is closed: when no request runs, no session (the
   * life of a dialogue) is open, and nobody was given it for `quietMs`. `successor` is asked from then on.
   */
  retire(successor: () => ChatModel | undefined): Promise<void>;
  /** Closes it now, whatever runs. */
  close(): Promise<void>;
}

interface ServedModelOptions {
  readonly quietMs: number;
}

export function createServedModel(inner: ChatModel, { quietMs }: ServedModelOptions): ServedModel {
  let running = 0;
  const sessions = new Set<string>();
  let touchedAtMs = performance.now();
  let closing: Promise<void> | null = null;
  let findSuccessor: (() => ChatModel | undefined) | null = null;
  let onIdle: (() => void) | null = null;

  const isIdle = () => running === 0 && sessions.size === 0;
  const noteIdle = () => {
    if (isIdle()) onIdle?.();
  };
  const leave = () => {
    running -= 1;
    noteIdle();
  };
  const touch = () => {
    touchedAtMs = performance.now();
  };
  const close = () => (closing ??= inner.close());
  /** Null while this model itself answers. */
  const successor = (): ChatModel | null => {
    if (closing === null) return null;
    const next = findSuccessor?.();
    if (next !== undefined) return next;
    throw new EngineError("draining", `The model ${inner.info.id} is not served any more.`);
  };
  /** Counts one run from its first step on; leaving a run that never began changes nothing. */
  const counted = (events: AsyncIterable<ChatEvent>): AsyncIterable<ChatEvent> => ({
    [Symbol.asyncIterator]() {
      const iterator = events[Symbol.asyncIterator]();
      let state: "new" | "running" | "ended" = "new";
      const end = () => {
        if (state === "running") leave();
        state = "ended";
      };
      return {
        async next() {
          if (state === "new") {
            state = "running";
            running += 1;
          }
          try {
            const result = await iterator.next();
            if (result.done === true) end();
            return result;
          } catch (error) {
            end();
            throw error;
          }
        },
        async return() {
          try {
            await iterator.return?.();
          } finally {
            end();
          }
          return { done: true, value: undefined };
        },
      };
    },
  });

  async function retire(next: () => ChatModel | undefined): Promise<void> {
    findSuccessor = next;
    for (;;) {
      if (closing !== null) break;
      if (!isIdle()) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
        });
        continue;
      }
      const waitMs = touchedAtMs + quietMs - performance.now();
      if (waitMs <= 0) break;
      await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
    }
    await close();
  }

  const score = inner.score?.bind(inner);
  const countTokens = inner.countTokens?.bind(inner);
  return {
    model: {
      get info() {
        return closing === null ? inner.info : (findSuccessor?.()?.info ?? inner.info);
      },
      generate(request, signal) {
        const next = successor();
        if (next !== null) return next.generate(request, signal);
        touch();
        if (request.sessionId !== undefined) sessions.add(request.sessionId);
        return counted(inner.generate(request, signal));
      },
      ...(score === undefined
        ? {}
        : {
            async score(messages, signal, as) {
              const next = successor();
              if (next?.score !== undefined) return next.score(messages, signal, as);
              touch();
              running += 1;
              try {
                return await score(messages, signal, as);
              } finally {
                leave();
              }
            },
          }),
      // The tokenizer outlives the engine.
      ...(countTokens === undefined ? {} : { countTokens }),
      endSession(sessionId) {
        sessions.delete(sessionId);
        // Whoever answered last keeps it.
        inner.endSession(sessionId);
        if (closing !== null) findSuccessor?.()?.endSession(sessionId);
        noteIdle();
      },
      close,
    },
    touch,
    retire,
    close,
  };
}
