// A TokenEngine of a few lines: it says the ids it was given, and remembers what it was asked and whether it was left.
// It keeps the engine's promises about stop tokens, limits, bans and cancellation; it has no network.
import type { SequenceEvent, SequenceRequest, TokenEngine } from "../../runtime/engine-api.ts";
import { EngineError } from "../../runtime/errors.ts";

export interface ScriptedEngineOptions {
  readonly contextWindow?: number;
  readonly vocabSize?: number;
  /** Ids to sample, one after the other; the first that may not be said first is passed over. */
  readonly script?: readonly number[] | ((request: SequenceRequest) => readonly number[]);
  readonly cachedTokens?: number;
  /** Thrown by assertAccepting. */
  readonly refusal?: EngineError;
  /** Thrown instead of the event with this index. */
  readonly failure?: { readonly at: number; readonly error: Error };
}

export interface ScriptedEngine extends TokenEngine {
  /** What it was asked, in order. */
  readonly requests: SequenceRequest[];
  /** What it was given to score. */
  readonly scored: { readonly ids: readonly number[]; readonly positions: readonly number[] }[];
  readonly endedSessions: string[];
  /** Sequences begun and not yet finished, failed or left. */
  readonly open: number;
  readonly isClosed: boolean;
}

/** Makes the engine. A script that runs out before a stop token goes on with id 0. */
export function createScriptedEngine(options: ScriptedEngineOptions = {}): ScriptedEngine {
  const { contextWindow = 64, vocabSize = 4096, script = [], cachedTokens = 0, refusal, failure } = options;
  const requests: SequenceRequest[] = [];
  const scored: ScriptedEngine["scored"] = [];
  const endedSessions: string[] = [];
  let open = 0;
  let isClosed = false;

  async function* play(request: SequenceRequest, signal: AbortSignal): AsyncGenerator<SequenceEvent, void, undefined> {
    try {
      let index = 0;
      for (const event of eventsOf(request)) {
        await Promise.resolve();
        if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
        if (failure?.at === index) throw failure.error;
        index += 1;
        yield event;
      }
    } finally {
      open -= 1;
    }
  }

  function* eventsOf(request: SequenceRequest): Generator<SequenceEvent, void, undefined> {
    yield { type: "prompt", cachedTokens };
    const ids = typeof script === "function" ? script(request) : script;
    const rest = ids[0] !== undefined && request.bannedFirstIds.has(ids[0]) ? ids.slice(1) : ids;
    for (let sampled = 0; ; sampled++) {
      const id = rest[sampled] ?? 0;
      if (request.stopIds.has(id)) return yield { type: "end", reason: "stop_token", stopId: id };
      if (request.promptIds.length + sampled >= contextWindow)
        return yield { type: "end", reason: "window", stopId: null };
      yield { type: "token", id };
      if (sampled + 1 === request.maxTokens) return yield { type: "end", reason: "max_tokens", stopId: null };
    }
  }

  return {
    contextWindow,
    vocabSize,
    requests,
    scored,
    endedSessions,
    get open() {
      return open;
    },
    get isClosed() {
      return isClosed;
    },
    assertAccepting() {
      if (refusal !== undefined) throw refusal;
    },
    generate(request, signal) {
      requests.push(request);
      open += 1;
      return play(request, signal);
    },
    // Minus the id at each position.
    score: async (ids, positions) => {
      scored.push({ ids, positions });
      return positions.map((position) => -(ids[position] ?? 0));
    },
    endSession: (sessionId) => void endedSessions.push(sessionId),
    close: async () => {
      isClosed = true;
    },
  };
}
