// Owns the closed door: while the server drains, work is refused so that a load balancer sends it elsewhere.
// What only reads (models, health, metrics) goes on being answered.
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { overloaded } from "../openai/error.ts";

export function admission(lifecycle: Lifecycle): MiddlewareHandler<AppEnv> {
  return async function admissionMiddleware(c, next) {
    if (!lifecycle.isDraining || c.req.method !== "POST") return next();
    throw overloaded("The server is shutting down. Please retry your request.");
  };
}
