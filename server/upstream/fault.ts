// Owns the classes of what can go wrong with an upstream, which of them may be tried again, and what callers are told.
// It knows the errors of the openai package; it waits for nothing and counts nothing.
import { APIConnectionTimeoutError, APIError, APIConnectionError } from "openai";
import { EngineError, type EngineErrorCode } from "../../runtime/errors.ts";
import { type Overflow, readOverflow, type ToldError } from "../../training/judge/context-overflow.ts";

/** A closed set: a metric's label takes its values from it. */
export type FaultKind =
  /** 429. */
  | "rate_limited"
  /** 503 and 529. */
  | "overloaded"
  /** Any other 5xx, 409, or an error told in a stream. */
  | "server_error"
  /** No answer, or no next event, in time; also 408. */
  | "timeout"
  | "connection"
  /** Not what was asked for: no JSON, or a stream that ends in the middle. */
  | "bad_answer"
  | "bad_key"
  /** 429 that no waiting cures: the account is empty. */
  | "no_quota"
  /** The request itself is at fault: 400, 413, 422. */
  | "bad_request"
  /** Any other answer that is not a success: no such model, no such address, a content filter. */
  | "refused"
  | "context_overflow";

interface FaultDetail {
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | null;
  readonly overflow?: Overflow;
  readonly param?: string | null;
  /** The endpoint's own wish, `x-should-retry`. */
  readonly wishesRetry?: boolean | null;
}

/** One failed attempt. */
export class UpstreamFault extends Error {
  override readonly name = "UpstreamFault";
  readonly kind: FaultKind;
  readonly detail: FaultDetail;

  constructor(kind: FaultKind, message: string, detail: FaultDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.detail = detail;
  }

  /** Whether the same request may do better later. */
  get isRetryable(): boolean {
    if (hopeless.has(this.kind)) return false;
    return this.detail.wishesRetry ?? transient.has(this.kind);
  }
}

const transient = new Set<FaultKind>([
  "rate_limited",
  "overloaded",
  "server_error",
  "timeout",
  "connection",
  "bad_answer",
]);
/** Not even where the endpoint asks for it. */
const hopeless = new Set<FaultKind>(["bad_key", "no_quota", "context_overflow"]);
const maxToldLength = 300;

/** What an attempt threw, as a fault. `secret` is cut out of whatever the endpoint said. */
export function toFault(error: unknown, secret: string | null): UpstreamFault {
  if (error instanceof UpstreamFault) return error;
  if (error instanceof APIConnectionTimeoutError) {
    return new UpstreamFault("timeout", "it did not answer in time", {}, { cause: error });
  }
  if (error instanceof SyntaxError)
    return new UpstreamFault("bad_answer", "it sent what is not JSON", {}, { cause: error });
  if (error instanceof APIConnectionError || !(error instanceof APIError)) {
    return new UpstreamFault("connection", `the connection failed (${connectionReason(error)})`, {}, { cause: error });
  }
  const told = readTold(error, secret);
  const status = error.status ?? statusOf(told);
  const kind = kindOf(status, told);
  const overflow = kind === "context_overflow" ? readOverflow(told) : null;
  const place = error.status === undefined ? "in its stream" : `with HTTP ${error.status}`;
  // What a server says of a key may hold parts of it; what it says of itself is nobody's business.
  const saying = kind === "bad_request" || kind === "context_overflow" ? `: ${told.message}` : "";
  const detail = {
    status,
    retryAfterMs: retryAfterMs(error.headers),
    param: told.param,
    wishesRetry: wish(error.headers?.get("x-should-retry")),
    ...(overflow === null ? {} : { overflow }),
  };
  return new UpstreamFault(kind, `it answered ${place}${saying}`, detail, { cause: error });
}

/** The fault as every caller of a ChatModel knows errors. `attempts` is how often it was tried. */
export function toEngineError(fault: UpstreamFault, modelId: string, attempts: number): EngineError {
  const { kind, detail } = fault;
  const tries = attempts === 1 ? "" : ` (${attempts} attempts)`;
  const { promptTokens = null, contextWindow = null } = detail.overflow ?? {};
  const param = kind === "bad_request" ? detail.param : kind === "context_overflow" ? "messages" : null;
  return new EngineError(
    engineCodes[kind],
    `The upstream of \`${modelId}\` ${openings[kind]}${tries}: ${fault.message}.`,
    {
      ...(typeof param === "string" ? { param } : {}),
      ...(typeof detail.retryAfterMs === "number" ? { retryAfterMs: detail.retryAfterMs } : {}),
      ...(promptTokens === null ? {} : { promptTokens }),
      ...(contextWindow === null ? {} : { contextWindow }),
    },
    { cause: fault },
  );
}

const engineCodes: Readonly<Record<FaultKind, EngineErrorCode>> = {
  rate_limited: "upstream_rate_limited",
  overloaded: "upstream_overloaded",
  server_error: "upstream_failed",
  timeout: "upstream_timeout",
  connection: "upstream_failed",
  bad_answer: "upstream_failed",
  bad_key: "upstream_refused",
  no_quota: "upstream_refused",
  bad_request: "invalid_request",
  refused: "upstream_refused",
  context_overflow: "context_length_exceeded",
};

const openings: Readonly<Record<FaultKind, string>> = {
  rate_limited: "limits its rate",
  overloaded: "is overloaded",
  server_error: "failed",
  timeout: "took too long",
  connection: "cannot be reached",
  bad_answer: "gave no usable answer",
  bad_key: "refused this server's key",
  no_quota: "refused for want of credit",
  bad_request: "refused the request",
  refused: "refused",
  context_overflow: "has no room for the messages",
};

function kindOf(status: number | undefined, told: ToldError): FaultKind {
  const words = `${told.code ?? ""} ${told.type ?? ""}`.toLowerCase();
  if (status === 401 || status === 403 || /invalid_api_key|authentication_error/.test(words)) return "bad_key";
  if (/insufficient_quota|billing/.test(words) || status === 402) return "no_quota";
  if (status === 429 || (status === undefined && words.includes("rate_limit"))) return "rate_limited";
  if (readOverflow(told) !== null) return "context_overflow";
  if (status === 503 || status === 529 || (status === undefined && words.includes("overloaded"))) return "overloaded";
  if (status === 408) return "timeout";
  if (status === 409) return "server_error";
  if (status === 400 || status === 413 || status === 422) return "bad_request";
  if (status === undefined) return /invalid_request|badrequest/.test(words) ? "bad_request" : "server_error";
  return status >= 500 && status !== 501 ? "server_error" : "refused";
}

function readTold(error: APIError, secret: string | null): ToldError {
  const body: unknown = error.error;
  const field = (key: string): unknown => (typeof body === "object" && body !== null ? Reflect.get(body, key) : null);
  const text = (key: string) => {
    const value = field(key);
    return typeof value === "string" || typeof value === "number" ? String(value) : null;
  };
  const count = (key: string) => {
    const value = field(key);
    return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
  };
  const message = typeof body === "string" ? body : (text("message") ?? error.message);
  const safe = secret === null ? message : message.replaceAll(secret, "…");
  return {
    message: safe.replaceAll(/\s+/g, " ").trim().slice(0, maxToldLength).toWellFormed(),
    type: text("type"),
    code: text("code"),
    param: text("param"),
    promptTokens: count("n_prompt_tokens"),
    contextWindow: count("n_ctx"),
  };
}

/** Some servers repeat the status as the error's code, which is all there is of it within a stream. */
function statusOf({ code }: ToldError): number | undefined {
  return code !== null && /^[45]\d\d$/.test(code) ? Number(code) : undefined;
}

function retryAfterMs(headers: Headers | undefined): number | null {
  const inMs = Number.parseFloat(headers?.get("retry-after-ms") ?? "");
  if (inMs >= 0) return inMs;
  const given = headers?.get("retry-after")?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(given)) return Number(given) * 1000;
  const date = Date.parse(given);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

const wish = (header: string | null | undefined) => (header === "true" ? true : header === "false" ? false : null);

/** A system error's name, never its address: clients have no business knowing where upstreams are. */
function connectionReason(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code: unknown = Reflect.get(at, "code");
    if (typeof code === "string") return code;
  }
  return "it broke off";
}
