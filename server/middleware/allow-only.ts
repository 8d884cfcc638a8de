// Owns the answer to a method that an endpoint does not have. Mounted on the endpoint's path, after its handlers.
import type { Handler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { methodNotAllowed } from "../openai/error.ts";

/** Answers 405 with `Allow`. */
export function allowOnly(...methods: readonly string[]): Handler<AppEnv> {
  return function refuseMethod(c) {
    throw methodNotAllowed(c.req.method, c.req.path, methods);
  };
}
