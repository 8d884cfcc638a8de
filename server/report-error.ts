// Owns what happens to an error between its throw and its answer: mapped by the one table, logged when it is ours.
// Used by the app's onError and by streams that fail after their headers. It writes no response itself.
import type { Context } from "hono";
import { EngineError } from "../runtime/errors.ts";
import type { AppEnv } from "./app-env.ts";
import type { Log } from "./log.ts";
import { type ApiError, toApiError } from "./openai/error.ts";

/** The error as the client is told it. Whatever is the server's fault is logged, with the request id. */
export function reportError(error: unknown, c: Context<AppEnv>, log: Log): ApiError {
  const answer = toApiError(error);
  c.var.logFields["error"] = answer.body.code ?? answer.body.type;
  if (answer.status === 500) log.error("request failed", { requestId: c.var.requestId, error });
  // Nobody here is at fault, but the operator has to know: why a key was refused is told nowhere else.
  if (error instanceof EngineError && error.code.startsWith("upstream_")) {
    log.warn("upstream failed", { requestId: c.var.requestId, code: error.code, reason: error.message });
  }
  return answer;
}
