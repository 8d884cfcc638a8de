// Owns reading a request's body, piece by piece or as JSON: its type, its size, its encoding, its syntax.
// It does not know what the JSON should hold.
import type { Context } from "hono";
import { EngineError } from "../../runtime/errors.ts";
import type { AppEnv } from "../app-env.ts";
import { ApiError, excerpt } from "./error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads at most `maxBytes`. Throws ApiError 413, 415 or 400 with a sentence that says what is wrong. */
export async function readJsonBody(c: Context<AppEnv>, maxBytes: number): Promise<unknown> {
  checkType(c.req.header("content-type"), c.req.header("content-encoding"));
  const bytes = await readBytes(c, maxBytes);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (error) {
    throw new ApiError(400, "The request body is not valid UTF-8.", {}, { cause: error });
  }
  if (text.trim() === "") throw new ApiError(400, "The request body is empty; it must be a JSON object.");
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's own words would repeat what the client sent.
    throw new ApiError(
      400,
      "We could not parse the JSON body of your request. The body must be one valid JSON object.",
      {},
      { cause: error },
    );
  }
}

function checkType(contentType: string | undefined, encoding: string | undefined): void {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "" && type !== "application/json" && !/^[\w.-]+\/[\w.-]+\+json$/.test(type)) {
    throw unsupportedType(type, "application/json");
  }
  assertUncompressed(encoding);
}

/** 415 for a body of another type than the endpoint reads. */
export function unsupportedType(type: string, wanted: string): ApiError {
  const message = `Unsupported content type '${excerpt(type)}'. Send the body as 'Content-Type: ${wanted}'.`;
  return new ApiError(415, message, { code: "unsupported_content_type" });
}

/** Throws ApiError 415 for a body that is packed. */
export function assertUncompressed(encoding: string | undefined): void {
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    const message = `Unsupported content encoding '${excerpt(encoding)}'. Send the body uncompressed.`;
    throw new ApiError(415, message, { code: "unsupported_content_encoding" });
  }
}

async function readBytes(c: Context<AppEnv>, maxBytes: number): Promise<Uint8Array> {
  if (Number(c.req.header("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(c)) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The body as it comes. Left early, the rest is drained or cut off by the HTTP server. Throws EngineError when the client leaves. */
export async function* bodyChunks(c: Context<AppEnv>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = c.req.raw.body?.getReader();
  try {
    for (;;) {
      const chunk = await reader?.read().catch((error: unknown) => {
        throw new EngineError("cancelled", "The client closed the connection.", {}, { cause: error });
      });
      if (chunk?.value === undefined) return;
      yield chunk.value;
    }
  } finally {
    reader?.releaseLock();
  }
}

function tooLarge(maxBytes: number): ApiError {
  const message = `The request body is too large: at most ${maxBytes} bytes are accepted.`;
  return new ApiError(413, message, { code: "request_too_large", headers: { connection: "close" } });
}
