// Owns the one log line and the HTTP metrics of every request, written when its last byte is handed over.
// It sees method, route, status and time; what else the line holds, routes put into logFields. Never contents of messages.
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { AppEnv } from "../app-env.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { excerpt } from "../openai/error.ts";

export function requestLog(log: Log, metrics: Metrics): MiddlewareHandler<AppEnv> {
  return async function requestLogMiddleware(c, next) {
    const startMs = performance.now();
    metrics.httpStarted();
    await next();
    const { method, path } = c.req;
    const { status } = c.res;
    const pattern = routePath(c, -1);
    const route = pattern.endsWith("*") ? "unmatched" : pattern;
    const finish = () => {
      const durationMs = Math.round((performance.now() - startMs) * 10) / 10;
      metrics.httpEnded(route, method, status, durationMs);
      const { requestId, logFields } = c.var;
      log.info("request", { requestId, method, path: excerpt(path), route, status, durationMs, ...logFields });
    };
    if (c.var.streamEnd === undefined) finish();
    else void c.var.streamEnd.then(finish);
  };
}
