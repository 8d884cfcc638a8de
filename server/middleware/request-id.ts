// Owns the id every request is known by: taken from the client where it is harmless, made up otherwise, always answered.
// It runs first, so that every later line and every answer can name it.
import { randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";

/** What may go into a log line and back into a header as it came. */
const harmless = /^[\w.:-]{1,128}$/;

/** A fresh id, for answers made where no middleware runs too. */
export const newRequestId = () => `req_${randomUUID().replaceAll("-", "")}`;

export function requestId(): MiddlewareHandler<AppEnv> {
  return async function requestIdMiddleware(c, next) {
    const given = c.req.header("x-request-id") ?? "";
    const id = harmless.test(given) ? given : newRequestId();
    c.set("requestId", id);
    c.set("logFields", {});
    c.header("x-request-id", id);
    await next();
  };
}
