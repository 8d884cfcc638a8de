// Owns who may call: with keys configured, a request must carry one of them as a bearer token.
// It does not know where it is mounted, nor where keys come from.
import { hash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-env.ts";
import { ApiError } from "../openai/error.ts";

const missingKey =
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
  "(i.e. Authorization: Bearer YOUR_KEY).";

/** Lets everybody in when there are no keys. */
export function auth(keys: readonly string[]): MiddlewareHandler<AppEnv> {
  const digests = keys.map(digest);
  return async function authMiddleware(c, next) {
    if (digests.length === 0) return next();
    const [scheme, key] = (c.req.header("authorization") ?? "").split(/\s+/, 2);
    if (scheme?.toLowerCase() !== "bearer" || key === undefined || key === "") throw unauthorized(missingKey, null);
    const given = digest(key);
    // Digests have one length and every one of them is compared: the time taken tells nothing about any key.
    let isKnown = false;
    for (const expected of digests) isKnown = timingSafeEqual(given, expected) || isKnown;
    if (!isKnown) throw unauthorized(`Incorrect API key provided: ${mask(key)}.`, "invalid_api_key");
    return next();
  };
}

const digest = (key: string) => hash("sha256", key, "buffer");

const mask = (key: string) => (key.length < 12 ? "***" : `${key.slice(0, 3)}***${key.slice(-4)}`);

function unauthorized(message: string, code: string | null): ApiError {
  return new ApiError(401, message, { code, headers: { "www-authenticate": "Bearer" } });
}
