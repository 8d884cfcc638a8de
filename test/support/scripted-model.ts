// A ChatModel that says what a test tells it to, when the test tells it to, and remembers what it was asked.
// It counts one token per piece and one per end token, and reports to an EngineObserver as an engine does. No clocks.
import { setImmediate } from "node:timers/promises";
import type {
  ChatEvent,
  ChatModel,
  ChatRequest,
  ChatUsage,
  EngineObserver,
  ModelInfo,
  StopCause,
} from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";

/** What one request is answered with. */
export interface ScriptedReply {
  /** One token each. */
  readonly pieces?: readonly string[];
  readonly cause?: StopCause;
  /** Default: one per word of the messages, and one. */
  readonly promptTokens?: number;
  readonly cachedTokens?: number;
  /** Thrown before the first event: a refusal. It never becomes a sequence. */
  readonly refuseWith?: Error;
  /** Thrown when this many pieces have been said: a device that failed. */
  readonly failAfter?: { readonly pieces: number; readonly error: Error };
}

type Phase = "prefill" | "decode" | "ended";

/** What became of one request. */
export interface ScriptedCall {
  readonly request: ChatRequest;
  phase: Phase;
  /** Where the request was when it was cancelled. */
  cancelledIn: Phase | null;
  usage: ChatUsage;
  /** Resolves when the model holds nothing of the request any more. */
  readonly ended: Promise<void>;
}

export interface ScriptedModel extends ChatModel {
  readonly calls: readonly ScriptedCall[];
  readonly endedSessions: readonly string[];
  readonly isClosed: boolean;
  /** Lets `count` further events happen, each of whichever request waited longest. Only for `isStepped` models. */
  step(count?: number): void;
  /** Resolves when request number `index` (from 0) has reached the model. */
  called(index: number): Promise<ScriptedCall>;
}

interface ScriptedOptions {
  readonly info?: Partial<ModelInfo>;
  readonly reply?: ScriptedReply | ((request: ChatRequest, callIndex: number) => ScriptedReply);
  /** Every event then waits for a `step()`. */
  readonly isStepped?: boolean;
  readonly observer?: EngineObserver;
}

const defaultInfo: ModelInfo = {
  id: "realm",
  role: "assistant",
  contextWindow: 512,
  createdAtS: 1_700_000_000,
  ownedBy: "tests",
  device: "cpu",
  precision: "float32",
  modelHash: "0123456789abcdef",
  templateHash: "fedcba9876543210",
  responseRole: "assistant",
  vocabSize: 100,
  recommendedSampling: { temperature: 0.7, topP: 0.9, topK: 40, minP: 0 },
};

export function scriptedModel({ info, reply = {}, isStepped = false, observer }: ScriptedOptions = {}): ScriptedModel {
  const own: ModelInfo = { ...defaultInfo, ...info };
  const calls: ScriptedCall[] = [];
  const endedSessions: string[] = [];
  const waiting: (() => void)[] = [];
  const arrivals: { readonly index: number; readonly resolve: (call: ScriptedCall) => void }[] = [];
  let permits = 0;
  let isClosed = false;

  const turn = async (signal: AbortSignal) => {
    if (!isStepped) return;
    if (permits > 0) {
      permits -= 1;
      return;
    }
    const permitted = Promise.withResolvers<void>();
    const leave = () => permitted.resolve();
    waiting.push(leave);
    signal.addEventListener("abort", leave, { once: true });
    await permitted.promise;
    signal.removeEventListener("abort", leave);
    if (waiting.includes(leave)) waiting.splice(waiting.indexOf(leave), 1);
  };

  async function* generate(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
    const script = typeof reply === "function" ? reply(request, calls.length) : reply;
    if (isClosed) throw new EngineError("draining", `${own.id} is closing.`);
    if (script.refuseWith !== undefined) throw script.refuseWith;
    const { pieces, cause } = cut(script, request.maxTokens);
    const promptTokens = script.promptTokens ?? countWords(request);
    const cachedTokens = script.cachedTokens ?? 0;
    const ended = Promise.withResolvers<void>();
    const call: ScriptedCall = {
      request,
      phase: "prefill",
      cancelledIn: null,
      usage: { promptTokens, cachedTokens, completionTokens: 0 },
      ended: ended.promise,
    };
    calls.push(call);
    for (const { index, resolve } of arrivals) if (index < calls.length) resolve(calls[index] ?? call);

    const addSampled = (count: number) => {
      call.usage = { ...call.usage, completionTokens: call.usage.completionTokens + count };
    };
    const next = async () => {
      await turn(signal);
      if (signal.aborted) throw new EngineError("cancelled", "The request was cancelled.");
    };
    let outcome: "stop" | "length" | "abort" | "error" = "abort";
    try {
      await next();
      call.phase = "decode";
      yield { type: "prompt", promptTokens, cachedTokens };
      for (const [index, text] of pieces.entries()) {
        if (script.failAfter?.pieces === index) throw script.failAfter.error;
        await next();
        addSampled(1);
        yield { type: "text", text };
      }
      if (script.failAfter?.pieces === pieces.length) throw script.failAfter.error;
      await next();
      if (cause === "end_token" || cause === "end_of_conversation") addSampled(1);
      outcome = cause === "max_tokens" || cause === "window" ? "length" : "stop";
      yield { type: "end", cause, usage: call.usage, tokenIds: pieces.map((_, index) => index) };
    } catch (error) {
      if (!signal.aborted) outcome = "error";
      throw error;
    } finally {
      if (outcome === "abort") call.cancelledIn = call.phase;
      call.phase = "ended";
      const timing = {
        queueMs: 1,
        prefillMs: 2,
        decodeMs: 3,
        firstTokenMs: call.usage.completionTokens > 0 ? 3 : null,
      };
      observer?.onSequenceEnd(own.id, { outcome, ...call.usage, ...timing });
      ended.resolve();
    }
  }

  return {
    info: own,
    calls,
    endedSessions,
    get isClosed() {
      return isClosed;
    },
    generate,
    endSession: (sessionId) => void endedSessions.push(sessionId),
    async close() {
      isClosed = true;
    },
    step(count = 1) {
      for (let left = count; left > 0; left -= 1) {
        const leave = waiting.shift();
        if (leave === undefined) permits += 1;
        else leave();
      }
    },
    called(index) {
      const call = calls[index];
      if (call !== undefined) return Promise.resolve(call);
      return new Promise((resolve) => arrivals.push({ index, resolve }));
    },
  };
}

/** Resolves when `count` tokens of a request have been sampled. */
export async function sampled(call: ScriptedCall, count: number): Promise<void> {
  while (call.usage.completionTokens < count) await setImmediate();
}

function cut({ pieces = ["Hello", " there", "."], cause = "end_token" }: ScriptedReply, maxTokens: number | null) {
  const isCut = maxTokens !== null && pieces.length > maxTokens;
  return isCut ? { pieces: pieces.slice(0, maxTokens), cause: "max_tokens" as const } : { pieces, cause };
}

function countWords({ messages }: ChatRequest): number {
  return messages.reduce((sum, { content }) => sum + content.split(/\s+/).filter(Boolean).length, 1);
}
