// The one error type of the runtime, and every code it can carry.
// It knows no HTTP status: server/openai/error.ts maps codes to answers.

export type EngineErrorCode =
  /** The prompt leaves no room for a reply in the context window. */
  | "context_length_exceeded"
  /** The waiting queue is full, by requests or by tokens. */
  | "queue_full"
  /** The model is closing. */
  | "draining"
  /** The request contradicts the model: a role order its template refuses, a token id outside its vocabulary. */
  | "invalid_request"
  /** The caller's signal was aborted. */
  | "cancelled"
  /** ONNX Runtime refused or failed a call; the message is its own. */
  | "ort_failed"
  /** The native library is missing or of another version. */
  | "ort_missing"
  /** The device asked for cannot be had. */
  | "device_unavailable"
  /** A model folder or checkpoint is broken; the message names file and field. */
  | "bad_model"
  /** A remote server failed, cannot be reached or sent what is no answer; the same request may do better later. */
  | "upstream_failed"
  /** As `upstream_failed`, for want of time. */
  | "upstream_timeout"
  /** As `upstream_failed`, for want of room. */
  | "upstream_overloaded"
  /** As `upstream_failed`, since too much was asked of it in too short a time. */
  | "upstream_rate_limited"
  /** A remote server will never do it: a bad key, no credit, no such model. */
  | "upstream_refused";

/** Field of the request an `invalid_request` speaks of, and figures for messages. */
export interface EngineErrorDetail {
  readonly param?: string;
  readonly contextWindow?: number;
  readonly promptTokens?: number;
  readonly retryAfterMs?: number;
}

export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;
  readonly detail: EngineErrorDetail;

  constructor(code: EngineErrorCode, message: string, detail: EngineErrorDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.detail = detail;
  }
}
