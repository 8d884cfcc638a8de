import { describe, expect, it } from "vitest";
import { EngineError, type EngineErrorCode } from "../../../runtime/errors.ts";
import { ApiError, excerpt, modelNotFound, toApiError } from "../../../server/openai/error.ts";
import { createHarness, hello, readError } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

/** What a client sees of each error of the runtime. `isOurs`: answered without details and logged. */
const table: Record<EngineErrorCode, { status: number; error: object; isOurs: boolean }> = {
  context_length_exceeded: {
    status: 400,
    error: {
      message:
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 4144 tokens. " +
        "Please reduce the length of the messages.",
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded",
    },
    isOurs: false,
  },
  queue_full: {
    status: 429,
    error: { message: "Rate limit reached: said so", type: "requests", param: null, code: "rate_limit_exceeded" },
    isOurs: false,
  },
  draining: { status: 503, error: { type: "server_error", param: null, code: null }, isOurs: false },
  invalid_request: {
    status: 400,
    error: { message: "said so", type: "invalid_request_error", param: "messages", code: "invalid_value" },
    isOurs: false,
  },
  cancelled: { status: 499, error: { code: "request_cancelled" }, isOurs: false },
  ort_failed: { status: 500, error: { type: "server_error", param: null, code: null }, isOurs: true },
  ort_missing: { status: 500, error: { type: "server_error", param: null, code: null }, isOurs: true },
  device_unavailable: { status: 500, error: { type: "server_error", param: null, code: null }, isOurs: true },
  bad_model: { status: 500, error: { type: "server_error", param: null, code: null }, isOurs: true },
  upstream_failed: { status: 502, error: upstream("upstream_failed"), isOurs: false },
  upstream_timeout: { status: 504, error: upstream("upstream_timeout"), isOurs: false },
  upstream_overloaded: { status: 503, error: upstream("upstream_overloaded"), isOurs: false },
  upstream_rate_limited: {
    status: 429,
    error: { message: "Rate limit reached: said so", type: "requests", param: null, code: "rate_limit_exceeded" },
    isOurs: false,
  },
  upstream_refused: { status: 502, error: upstream("upstream_refused"), isOurs: false },
};

function upstream(code: string): object {
  return { message: "said so", type: "server_error", param: null, code };
}

describe("every error of the runtime has its answer", () => {
  it.each(Object.entries(table))("%s", async (code, { status, error, isOurs }) => {
    const detail = { param: "messages", contextWindow: 4097, promptTokens: 4144 };
    const refuseWith = new EngineError(code as EngineErrorCode, "said so", detail);
    const { chat, takeErrors } = createHarness({ models: [scriptedModel({ reply: { refuseWith } })] });
    const response = await chat({});
    const answer = await readError(response);
    expect(answer).toMatchObject({ status, error });
    expect(response.headers.has("retry-after")).toBe(status === 429 || status === 503);
    const errors = takeErrors();
    expect(errors).toHaveLength(isOurs ? 1 : 0);
    // Ours is found in the log by the id that the client was given, and only there.
    expect(errors.every(({ requestId }) => requestId === response.headers.get("x-request-id"))).toBe(true);
    expect(isOurs && answer.error.message.includes("said so")).toBe(false);
  });
});

it("an error nobody foresaw is a 500 that shows nothing and is logged with its stack and cause", async () => {
  const refuseWith = new TypeError("inner secret", { cause: new Error("deeper secret") });
  const { chat, takeErrors } = createHarness({ models: [scriptedModel({ reply: { refuseWith } })] });
  const { status, error } = await readError(await chat({}));
  expect(status).toBe(500);
  expect(error.message).not.toContain("secret");
  expect(takeErrors()).toMatchObject([
    {
      error: {
        name: "TypeError",
        message: "inner secret",
        stack: expect.any(String),
        cause: { message: "deeper secret" },
      },
    },
  ]);
});

const headersOf = (retryAfterMs?: number) =>
  toApiError(new EngineError("queue_full", "full", retryAfterMs === undefined ? {} : { retryAfterMs })).headers;

it("waits are told in whole seconds and in milliseconds, never zero", () => {
  expect(headersOf(1)).toEqual({ "retry-after": "1", "retry-after-ms": "1" });
  expect(headersOf(0)).toEqual({ "retry-after": "1", "retry-after-ms": "1" });
  expect(headersOf(1001)).toEqual({ "retry-after": "2", "retry-after-ms": "1001" });
  expect(headersOf()).toEqual({ "retry-after": "1", "retry-after-ms": "1000" });
});

it("an overflow without figures keeps the runtime's own words", () => {
  const { body } = toApiError(new EngineError("context_length_exceeded", "too long for this model"));
  expect(body.message).toBe("too long for this model");
});

it("an unknown model is named, cut short, in a 404", async () => {
  const { chat } = createHarness();
  expect(await readError(await chat({ model: "gpt-4" }))).toEqual({
    status: 404,
    error: {
      message: "The model `gpt-4` does not exist or you do not have access to it.",
      type: "invalid_request_error",
      param: null,
      code: "model_not_found",
    },
  });
  expect(modelNotFound("x".repeat(5000)).message.length).toBeLessThan(200);
});

it("what is repeated to a client is always encodable", () => {
  expect(excerpt("\ud800").isWellFormed()).toBe(true);
  // The cut falls into the middle of a pair.
  expect(excerpt(`${"x".repeat(99)}😀😀`).isWellFormed()).toBe(true);
});

it("an ApiError is its own answer", () => {
  const error = new ApiError(418, "short and stout", { param: "spout" });
  expect(toApiError(error)).toBe(error);
  expect(error.body).toEqual({ message: "short and stout", type: "invalid_request_error", param: "spout", code: null });
});

it("a body above the limit is refused by its declared length and by its real one", async () => {
  const { send } = createHarness({ config: { maxBodyBytes: 2000 } });
  const json = { "content-type": "application/json" };
  const path = "/v1/chat/completions";
  const large = JSON.stringify({ model: "realm", messages: hello, filling: "x".repeat(2000) });
  for (const [body, headers] of [
    ["{}", { ...json, "content-length": "2001" }],
    [large, json],
  ] as const) {
    const response = await send("POST", path, body, headers);
    expect(await readError(response)).toMatchObject({ status: 413, error: { code: "request_too_large" } });
    expect(response.headers.get("connection")).toBe("close");
  }
  const fitting = JSON.stringify({ model: "realm", messages: hello });
  expect((await send("POST", path, fitting.padEnd(2000), json)).status).toBe(200);
});

it("a JSON body needs no content type, may bear a byte order mark, and may be of a +json type", async () => {
  const { send } = createHarness();
  const bytes = new TextEncoder().encode(`\ufeff${JSON.stringify({ model: "realm", messages: hello })}`);
  expect((await send("POST", "/v1/chat/completions", bytes)).status).toBe(200);
  const headers = { "content-type": "application/vnd.api+json; charset=utf-8" };
  expect((await send("POST", "/v1/chat/completions", bytes, headers)).status).toBe(200);
});
