// Owns one upstream as everyone else sees it: a ChatModel that asks an OpenAI-compatible endpoint, waits its turn, tries again
// where that can help, and keeps books. It knows neither our HTTP nor the registry; a session means nothing to an endpoint.
import { createHash } from "node:crypto";
import type {
  ChatEvent,
  ChatModel,
  ChatRequest,
  ChatUsage,
  EngineObserver,
  EngineSequenceEnd,
  ModelInfo,
  StopCause,
} from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { type AnswerEnd, runAttempt } from "./attempt.ts";
import { createClient } from "./client.ts";
import { ConcurrencyLimit } from "./concurrency.ts";
import { estimatePromptTokens, estimateTextTokens } from "./estimate.ts";
import { toEngineError, toFault, UpstreamFault } from "./fault.ts";
import type { UpstreamOutcome, WritableLedger } from "./ledger.ts";
import { promptShape, toRequestBody } from "./request-body.ts";
import { retryDelayMs, wait } from "./retry.ts";
import type { UpstreamSettings } from "./upstream-config.ts";

export interface UpstreamDeps {
  readonly ledger: WritableLedger;
  /** Told of every request's end, as of a local model's sequences. */
  readonly observer: EngineObserver;
  /** Requests that may wait for their turn. */
  readonly maxWaiting: number;
  /** Unix seconds. */
  readonly createdAtS: number;
}

/** How far one request has come. */
interface Progress {
  readonly beganAtMs: number;
  admittedAtMs: number | null;
  firstTextAtMs: number | null;
  /** Of the attempt that stands, or of the last one. */
  usage: ChatUsage;
  outcome: UpstreamOutcome;
}

/** Opens nothing: the first request does. */
export function createUpstreamModel(settings: UpstreamSettings, deps: UpstreamDeps): ChatModel {
  const { ledger, observer } = deps;
  const client = createClient(settings);
  const limit = new ConcurrencyLimit(settings.maxConcurrency, deps.maxWaiting);
  const account = ledger.open(settings.id, settings.prices, () => limit.state);
  const closing = new AbortController();
  const underWay = new Set<Promise<void>>();

  async function* generate(request: ChatRequest, callerSignal: AbortSignal): AsyncGenerator<ChatEvent, void> {
    if (closing.signal.aborted) throw draining();
    const body = toRequestBody(settings, request);
    const signal = AbortSignal.any([callerSignal, closing.signal]);
    const promptTokens = estimatePromptTokens(body.messages);
    const progress: Progress = {
      beganAtMs: performance.now(),
      admittedAtMs: null,
      firstTextAtMs: null,
      usage: { promptTokens, cachedTokens: 0, completionTokens: 0 },
      outcome: "abort",
    };
    const done = Promise.withResolvers<void>();
    underWay.add(done.promise);
    try {
      yield* untilAnswered(request, body, progress, signal);
    } catch (error) {
      throw closing.signal.aborted && !callerSignal.aborted ? draining() : error;
    } finally {
      account.ended(progress.outcome);
      if (progress.outcome !== "rejected") observer.onSequenceEnd(settings.id, sequenceEnd(progress));
      underWay.delete(done.promise);
      done.resolve();
    }
  }

  /** Attempts until one is answered, hope is gone or words have been handed on: those cannot be taken back. */
  async function* untilAnswered(
    request: ChatRequest,
    body: ReturnType<typeof toRequestBody>,
    progress: Progress,
    signal: AbortSignal,
  ): AsyncGenerator<ChatEvent, void> {
    const permit = await limit.acquire(signal).catch((error: unknown) => {
      if (error instanceof EngineError && error.code === "queue_full") progress.outcome = "rejected";
      throw error;
    });
    progress.admittedAtMs = performance.now();
    try {
      for (let attempt = 1; ; attempt += 1) {
        let fault: UpstreamFault;
        try {
          yield* ask(request, body, progress, signal);
          permit.succeeded();
          return;
        } catch (error) {
          if (signal.aborted) throw cancelled();
          fault = toFault(error, settings.apiKey);
        }
        if (fault.kind === "rate_limited") permit.rateLimited();
        const delayMs = progress.firstTextAtMs === null ? retryDelayMs(attempt, fault, settings) : null;
        if (delayMs === null) {
          progress.outcome = fault.kind;
          throw toEngineError(fault, settings.id, attempt);
        }
        account.retried(fault.kind);
        await wait(delayMs, signal);
        if (signal.aborted) throw cancelled();
      }
    } finally {
      permit.release();
    }
  }

  /** One attempt, as events. An attempt that the endpoint took is booked, however it ends. */
  async function* ask(
    request: ChatRequest,
    body: ReturnType<typeof toRequestBody>,
    progress: Progress,
    signal: AbortSignal,
  ): AsyncGenerator<ChatEvent, void> {
    const promptTokens = estimatePromptTokens(body.messages);
    const opening: ChatEvent = { type: "prompt", promptTokens, cachedTokens: 0 };
    let text = "";
    let isOpen = false;
    let told: ChatUsage | null = null;
    const estimate = () => ({
      promptTokens,
      cachedTokens: 0,
      completionTokens: estimateTextTokens(text),
      isEstimated: true,
    });
    try {
      for await (const event of runAttempt(client, body, settings, signal)) {
        if (event.type === "open") isOpen = true;
        else if (event.type === "text") {
          if (progress.firstTextAtMs === null) {
            progress.firstTextAtMs = performance.now();
            yield opening;
          }
          text += event.text;
          yield event;
        } else {
          const { end } = event;
          told = end.usage;
          progress.usage = told ?? estimate();
          const cause = causeOf(end, progress.usage, request, settings);
          if (text === "" && request.mustSpeak)
            throw new UpstreamFault("bad_answer", "it opened the conversation with nothing");
          if (text === "") yield opening;
          progress.outcome = cause === "max_tokens" || cause === "window" ? "length" : "stop";
          yield { type: "end", cause, usage: progress.usage, tokenIds: [] };
          return;
        }
      }
      throw cancelled();
    } finally {
      if (isOpen) {
        progress.usage = told ?? estimate();
        account.used(progress.usage, told === null);
      }
    }
  }

  return {
    info: describe(settings, deps.createdAtS),
    generate,
    endSession: () => {},
    async close() {
      closing.abort();
      await Promise.all(underWay);
    },
  };
}

function describe(settings: UpstreamSettings, createdAtS: number): ModelInfo {
  const { id, role, baseUrl, model, contextWindow } = settings;
  const templateHash = sha256(promptShape(settings));
  return {
    id,
    role,
    contextWindow,
    createdAtS,
    ownedBy: "upstream",
    device: "remote",
    precision: "unknown",
    // What is behind a name may change at any time; what can be known of it is where it is and what it is called.
    modelHash: sha256({ baseUrl, model, templateHash }),
    templateHash,
    responseRole: "assistant",
    // Unknown here; the endpoint judges token ids itself.
    vocabSize: 1_000_000_000,
    recommendedSampling: { temperature: 1, topP: 1, topK: 0, minP: 0 },
  };
}

/** The stop rules of self-play follow from this, so that what is not known is taken for the model's own end. */
function causeOf(
  end: AnswerEnd,
  usage: ChatUsage,
  request: ChatRequest,
  { contextWindow }: UpstreamSettings,
): StopCause {
  if (end.isEndOfConversation) return "end_of_conversation";
  if (end.finishReason === "content_filter") {
    throw new UpstreamFault("refused", "its content filter cut the answer off");
  }
  if (end.finishReason !== "length") return end.isStopString ? "stop_string" : "end_token";
  const isCounted = end.usage !== null;
  const isFull = isCounted && usage.promptTokens + usage.completionTokens >= contextWindow;
  const hasRoomAsked = request.maxTokens !== null && usage.completionTokens >= request.maxTokens;
  return isFull && !hasRoomAsked ? "window" : "max_tokens";
}

function sequenceEnd({ beganAtMs, admittedAtMs, firstTextAtMs, usage, outcome }: Progress): EngineSequenceEnd {
  const { promptTokens, cachedTokens, completionTokens } = usage;
  const nowMs = performance.now();
  const admitted = admittedAtMs ?? nowMs;
  const first = firstTextAtMs ?? nowMs;
  const isKnown = outcome === "stop" || outcome === "length" || outcome === "abort";
  return {
    outcome: isKnown ? outcome : "error",
    promptTokens,
    cachedTokens,
    completionTokens,
    queueMs: admitted - beganAtMs,
    prefillMs: first - admitted,
    decodeMs: nowMs - first,
    firstTokenMs: firstTextAtMs === null ? null : first - beganAtMs,
  };
}

const sha256 = (value: object) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
const cancelled = () => new EngineError("cancelled", "The request was cancelled.");
const draining = () => new EngineError("draining", "The model is closing.");
