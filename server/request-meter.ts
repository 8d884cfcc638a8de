// Owns how one request is counted: its outcome exactly once, the gaps between its pieces of text, a line for its log entry.
// It only watches what a request's choices tell; tokens are counted by the engine, where aborted ones are known too.
import type { ModelInfo } from "../runtime/chat-model.ts";
import { EngineError } from "../runtime/errors.ts";
import type { Endpoint, Metrics, RejectionReason, RequestOutcome } from "./metrics.ts";
import type { ChoiceEvent } from "./openai/choices.ts";
import { ApiError, clientClosedStatus } from "./openai/error.ts";

type LogFields = Record<string, string | number | boolean | null>;

export interface RequestMeter {
  /** Does what may refuse the request before it runs; a refusal is counted and thrown on. */
  check<T>(work: () => T): T;
  /** Hands the events on as they come and counts what they come to. `onEnd` is called once, however it ends. */
  watch(events: AsyncIterable<readonly ChoiceEvent[]>, onEnd: () => void): AsyncGenerator<readonly ChoiceEvent[]>;
}

export function openRequestMeter(
  metrics: Metrics,
  model: ModelInfo,
  endpoint: Endpoint,
  logFields: LogFields,
): RequestMeter {
  const lastTextAtMs = new Map<number, number>();
  let isCut = false;
  let isCounted = false;
  let completionTokens = 0;
  let promptTokens = 0;
  logFields["model"] = model.id;

  const count = (outcome: RequestOutcome) => {
    if (isCounted) return;
    isCounted = true;
    logFields["outcome"] = outcome;
    metrics.requestEnded(model, endpoint, outcome);
  };

  const fail = (error: unknown) => {
    const reason = rejectionReason(error);
    if (reason !== null) metrics.requestRejected(model, endpoint, reason);
    if (reason !== null) count("rejected");
    else count(isAbort(error) ? "abort" : "error");
  };

  const look = ({ index, event, atMs }: ChoiceEvent) => {
    if (event.type === "text") {
      const before = lastTextAtMs.get(index);
      lastTextAtMs.set(index, atMs);
      if (before !== undefined) metrics.textGap(model, atMs - before);
    } else if (event.type === "end") {
      isCut ||= event.cause === "max_tokens" || event.cause === "window";
      logFields["promptTokens"] = promptTokens += event.usage.promptTokens;
      logFields["completionTokens"] = completionTokens += event.usage.completionTokens;
    }
  };

  return {
    check(work) {
      try {
        return work();
      } catch (error) {
        fail(error);
        throw error;
      }
    },
    async *watch(events, onEnd) {
      try {
        for await (const batch of events) {
          for (const event of batch) look(event);
          yield batch;
        }
        count(isCut ? "length" : "stop");
      } catch (error) {
        fail(error);
        throw error;
      } finally {
        // Left in the middle: the client hung up between two events.
        count("abort");
        onEnd();
      }
    },
  };
}

/** Why a request was refused before it ran; null for every other failure. */
export function rejectionReason(error: unknown): RejectionReason | null {
  if (error instanceof ApiError && error.status === 400) return "invalid_request";
  if (!(error instanceof EngineError)) return null;
  const { code } = error;
  const isRejection =
    code === "queue_full" || code === "draining" || code === "context_length_exceeded" || code === "invalid_request";
  return isRejection ? code : null;
}

/** The client hung up, or the server stopped while the request ran. */
export function isAbort(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === clientClosedStatus || error.status === 503;
  return error instanceof EngineError
    ? error.code === "cancelled"
    : error instanceof Error && error.name === "AbortError";
}
