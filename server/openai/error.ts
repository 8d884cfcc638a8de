// Owns the one table from what can go wrong to HTTP status and OpenAI's error body.
// It knows error types, not routes; how a body is checked is validation.ts's, how it is sent is app.ts's and sse.ts's.
import { EngineError, type EngineErrorCode } from "../../runtime/errors.ts";

/** The inner object of every error answer; all four fields are always there. */
export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

interface ApiErrorFields {
  readonly type?: string;
  readonly param?: string | null;
  readonly code?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error whose message is meant for the client, with the status it is answered with. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, fields: ApiErrorFields = {}, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    const { type = "invalid_request_error", param = null, code = null, headers = {} } = fields;
    this.body = { message, type, param, code };
    this.headers = headers;
  }
}

/** Status for a client that hung up: nobody reads the answer, but the log tells it from a failure. */
export const clientClosedStatus = 499;

const defaultRetryMs = 1000;
const maxEchoedLength = 100;

/** Maps whatever was thrown to what the client is told. Unknown errors become a 500 without details. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof EngineError) return engineErrors[error.code](error);
  if (error instanceof Error && error.name === "AbortError") return clientClosed(error);
  return internalError(error);
}

const engineErrors: Record<EngineErrorCode, (error: EngineError) => ApiError> = {
  context_length_exceeded: (error) =>
    new ApiError(400, contextMessage(error), { param: "messages", code: "context_length_exceeded" }, { cause: error }),
  queue_full: (error) => rateLimited(error),
  draining: (error) => overloaded("This model is shutting down. Please retry your request.", error),
  invalid_request: (error) =>
    new ApiError(400, error.message, { param: error.detail.param ?? null, code: "invalid_value" }, { cause: error }),
  cancelled: (error) => clientClosed(error),
  ort_failed: (error) => internalError(error),
  ort_missing: (error) => internalError(error),
  device_unavailable: (error) => internalError(error),
  bad_model: (error) => internalError(error),
  upstream_failed: (error) => upstreamError(502, error),
  upstream_timeout: (error) => upstreamError(504, error),
  upstream_overloaded: (error) => upstreamError(503, error, retryHeaders(error.detail.retryAfterMs)),
  upstream_rate_limited: (error) => rateLimited(error),
  // Official clients repeat every 5xx unless they are told that it is in vain.
  upstream_refused: (error) => upstreamError(502, error, { "x-should-retry": "false" }),
};

function rateLimited(error: EngineError): ApiError {
  const headers = retryHeaders(error.detail.retryAfterMs);
  const fields = { type: "requests", code: "rate_limit_exceeded", headers };
  return new ApiError(429, `Rate limit reached: ${error.message}`, fields, { cause: error });
}

function upstreamError(status: number, error: EngineError, headers: Readonly<Record<string, string>> = {}): ApiError {
  return new ApiError(status, error.message, { type: "server_error", code: error.code, headers }, { cause: error });
}

/** 404 for a model that is not served. */
export function modelNotFound(id: string): ApiError {
  const message = `The model \`${excerpt(id)}\` does not exist or you do not have access to it.`;
  return new ApiError(404, message, { code: "model_not_found" });
}

/** 404 for a path that is no endpoint. */
export function unknownUrl(method: string, path: string): ApiError {
  const message = `Unknown request URL: ${excerpt(method)} ${excerpt(path)}. Please check the URL for typos.`;
  return new ApiError(404, message, { code: "unknown_url" });
}

/** 405 for an endpoint that has other methods. */
export function methodNotAllowed(method: string, path: string, allowed: readonly string[]): ApiError {
  const allow = allowed.join(", ");
  const message = `Not allowed to ${excerpt(method)} on ${excerpt(path)}. (HINT: Perhaps you meant to use ${allow}?)`;
  return new ApiError(405, message, { code: "method_not_supported", headers: { allow } });
}

/** 503 with Retry-After, for a server or a model that admits nothing any more. */
export function overloaded(message: string, cause?: unknown): ApiError {
  return new ApiError(503, message, { type: "server_error", headers: retryHeaders(undefined) }, { cause });
}

/** What a client sent, cut short: an answer never grows with the request. */
export function excerpt(text: string): string {
  const shown = text.toWellFormed();
  return shown.length <= maxEchoedLength ? shown : `${shown.slice(0, maxEchoedLength).toWellFormed()}…`;
}

function contextMessage(error: EngineError): string {
  const { contextWindow, promptTokens } = error.detail;
  if (contextWindow === undefined || promptTokens === undefined) return error.message;
  return (
    `This model's maximum context length is ${contextWindow} tokens. However, your messages resulted in ` +
    `${promptTokens} tokens. Please reduce the length of the messages.`
  );
}

/** Whole seconds for those who read the standard header, milliseconds for the official client. */
function retryHeaders(retryAfterMs = defaultRetryMs): Record<string, string> {
  const ms = Math.max(1, Math.ceil(retryAfterMs));
  return { "retry-after": String(Math.ceil(ms / 1000)), "retry-after-ms": String(ms) };
}

function clientClosed(cause: unknown): ApiError {
  return new ApiError(clientClosedStatus, "The request was cancelled.", { code: "request_cancelled" }, { cause });
}

function internalError(cause: unknown): ApiError {
  const message =
    "The server had an error while processing your request. Its log has the details under the request id.";
  return new ApiError(500, message, { type: "server_error" }, { cause });
}
