import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import {
  breaksOff,
  errorBody,
  type FakeAnswer,
  hangs,
  refuses,
  says,
  slams,
  startFakeUpstream,
  streams,
} from "../../support/fake-upstream.ts";
import { ask, openUpstream } from "./ask.ts";

const well = says(["fine"]);
/** For those who say nothing; others may take the time a busy machine needs. */
const quick = { timeoutS: 0.5, idleTimeoutS: 0.5 };

interface FaultCase {
  readonly name: string;
  readonly answer: FakeAnswer;
  readonly kind: string;
  readonly code: string;
  readonly limits?: object;
}

const transient: readonly FaultCase[] = [
  { name: "429", answer: refuses(429, errorBody("slow down")), kind: "rate_limited", code: "upstream_rate_limited" },
  {
    name: "429 with a time to come back",
    answer: refuses(429, errorBody("slow down"), { "retry-after-ms": "5" }),
    kind: "rate_limited",
    code: "upstream_rate_limited",
  },
  { name: "500", answer: refuses(500, "<html>"), kind: "server_error", code: "upstream_failed" },
  { name: "502", answer: refuses(502, ""), kind: "server_error", code: "upstream_failed" },
  { name: "503", answer: refuses(503, errorBody("busy")), kind: "overloaded", code: "upstream_overloaded" },
  { name: "529", answer: refuses(529, errorBody("busy")), kind: "overloaded", code: "upstream_overloaded" },
  { name: "408", answer: refuses(408), kind: "timeout", code: "upstream_timeout" },
  { name: "409", answer: refuses(409), kind: "server_error", code: "upstream_failed" },
  { name: "a slammed door", answer: slams, kind: "connection", code: "upstream_failed" },
  { name: "no answer at all", answer: hangs(), kind: "timeout", code: "upstream_timeout", limits: quick },
  { name: "a chunk that is not JSON", answer: streams("data: {oops\n\n"), kind: "bad_answer", code: "upstream_failed" },
  {
    name: "a chunk that is no chunk",
    answer: streams('data: {"choices":7}\n\n'),
    kind: "bad_answer",
    code: "upstream_failed",
  },
  {
    name: "a page instead of a stream",
    answer: streams("<html>Welcome</html>"),
    kind: "bad_answer",
    code: "upstream_failed",
  },
  { name: "a stream without an end", answer: says([], { finish: null }), kind: "bad_answer", code: "upstream_failed" },
  { name: "a connection cut before a word", answer: breaksOff(), kind: "connection", code: "upstream_failed" },
  {
    name: "an error within a stream",
    answer: streams('data: {"error":{"message":"CUDA out of memory","type":"InternalServerError","code":500}}\n\n'),
    kind: "server_error",
    code: "upstream_failed",
  },
  {
    name: "a rate limit within a stream",
    answer: streams('data: {"error":{"message":"slow down","type":"rate_limit_error"}}\n\n'),
    kind: "rate_limited",
    code: "upstream_rate_limited",
  },
  {
    name: "400 that asks to be tried again",
    answer: refuses(400, errorBody("hm"), { "x-should-retry": "true" }),
    kind: "bad_request",
    code: "invalid_request",
  },
];

describe("what may do better is tried again", () => {
  it.each(transient)("$name: until it does", async ({ answer, kind, limits = {} }) => {
    const upstream = await startFakeUpstream(answer, answer, well);
    const { model, account } = openUpstream(upstream.url, limits);
    const { text, error } = await ask(model);
    expect({ text, error }).toEqual({ text: "fine", error: null });
    expect(upstream.requests).toHaveLength(3);
    expect([...account().retries]).toEqual([[kind, 2]]);
    expect([...account().outcomes]).toEqual([["stop", 1]]);
  });

  it.each(transient)("$name: but not for ever", async ({ answer, kind, code, limits = {} }) => {
    const upstream = await startFakeUpstream(answer);
    const { model, account } = openUpstream(upstream.url, limits);
    const { events, error } = await ask(model);
    expect(events).toEqual([]);
    expect(error?.code).toBe(code);
    expect(error?.message).toContain("(4 attempts)");
    expect(upstream.requests).toHaveLength(4);
    expect([...account().outcomes]).toEqual([[kind, 1]]);
  });
});

const permanent: readonly FaultCase[] = [
  {
    name: "401",
    answer: refuses(401, errorBody("Incorrect API key provided: sk-ab***yz", "invalid_api_key")),
    kind: "bad_key",
    code: "upstream_refused",
  },
  {
    name: "401 that asks to be tried again",
    answer: refuses(401, errorBody("no"), { "x-should-retry": "true" }),
    kind: "bad_key",
    code: "upstream_refused",
  },
  { name: "403", answer: refuses(403, errorBody("not for you")), kind: "bad_key", code: "upstream_refused" },
  { name: "402", answer: refuses(402, errorBody("pay")), kind: "no_quota", code: "upstream_refused" },
  {
    name: "an empty account",
    answer: refuses(429, errorBody("You exceeded your current quota", "insufficient_quota")),
    kind: "no_quota",
    code: "upstream_refused",
  },
  {
    name: "400",
    answer: refuses(400, errorBody("Unknown parameter: 'seed'.")),
    kind: "bad_request",
    code: "invalid_request",
  },
  {
    name: "422",
    answer: refuses(422, { detail: [{ msg: "extra fields" }] }),
    kind: "bad_request",
    code: "invalid_request",
  },
  { name: "404", answer: refuses(404, errorBody("no such model")), kind: "refused", code: "upstream_refused" },
  {
    name: "a redirect",
    answer: refuses(307, "", { location: "http://127.0.0.1:1/" }),
    kind: "refused",
    code: "upstream_refused",
  },
  { name: "501", answer: refuses(501, errorBody("no")), kind: "refused", code: "upstream_refused" },
  {
    name: "500 that asks not to be tried again",
    answer: refuses(500, "", { "x-should-retry": "false" }),
    kind: "server_error",
    code: "upstream_failed",
  },
  {
    name: "a content filter",
    answer: says([], { finish: "content_filter" }),
    kind: "refused",
    code: "upstream_refused",
  },
];

describe("what will never do better is tried once", () => {
  it.each(permanent)("$name", async ({ answer, kind, code }) => {
    const upstream = await startFakeUpstream(answer, well);
    const { model, account } = openUpstream(upstream.url);
    const { events, error } = await ask(model);
    expect(events).toEqual([]);
    expect(error?.code).toBe(code);
    expect(upstream.requests).toHaveLength(1);
    expect([...account().outcomes]).toEqual([[kind, 1]]);
    expect([...account().retries]).toEqual([]);
  });

  it("nor is a connection that nobody takes, beyond the limit, and the address is not told", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as AddressInfo;
    nobody.close();
    const { model } = openUpstream(`http://127.0.0.1:${port}/v1`, { maxRetries: 2 });
    const { error } = await ask(model);
    expect(error).toMatchObject({ code: "upstream_failed", message: expect.stringContaining("(ECONNREFUSED)") });
    expect(error?.message).not.toContain("127.0.0.1");
  });
});

describe("once words have been handed on, nothing is tried again", () => {
  it.each([
    ["a connection that breaks", breaksOff("Once", " upon"), "upstream_failed"],
    ["a stream that ends in the middle", says(["Once", " upon"], { finish: null }), "upstream_failed"],
    ["silence", hangs("Once", " upon"), "upstream_timeout", quick],
    ["a content filter", says(["Once", " upon"], { finish: "content_filter" }), "upstream_refused"],
  ])("%s", async (_, answer, code, limits: object = {}) => {
    const upstream = await startFakeUpstream(answer, well);
    const { model, account } = openUpstream(upstream.url, limits);
    const { text, end, error } = await ask(model);
    expect({ text, end, code: error?.code }).toEqual({ text: "Once upon", end: null, code });
    expect(upstream.requests).toHaveLength(1);
    // What was said is paid for, whoever counted it.
    expect(account().totals.completionTokens).toBeGreaterThan(0);
  });
});

it("a slow stream is no silent one", async () => {
  const upstream = await startFakeUpstream(says(["a", "b", "c", "d", "e", "f"], { gapMs: 250 }));
  const { model } = openUpstream(upstream.url, { timeoutS: 5, idleTimeoutS: 1 });
  expect((await ask(model)).text).toBe("abcdef");
});

/** Says everything and keeps the connection. */
const lingers: FakeAnswer = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('data: {"choices":[{"delta":{"content":"all"},"finish_reason":"stop"}]}\n\n');
};

it("an answer that is complete needs no end mark, and no end of the connection", async () => {
  for (const answer of [lingers, says(["all"], { isDone: false })]) {
    const { model } = openUpstream((await startFakeUpstream(answer)).url, quick);
    const { text, end, error } = await ask(model);
    expect({ text, end: end?.type, error }).toEqual({ text: "all", end: "end", error: null });
  }
});

it("a key is never told, not even where the endpoint repeats it", async () => {
  const upstream = await startFakeUpstream(refuses(400, errorBody("The header was 'Bearer sk-very-secret'.")));
  const { model } = openUpstream(upstream.url, { apiKeyEnv: "KEY" }, { KEY: "sk-very-secret" });
  const { error } = await ask(model);
  expect(error?.message).toContain("Bearer …");
  expect(error?.message).not.toContain("secret");
});

it("an endpoint that asks for more patience than there is is not waited for", async () => {
  const upstream = await startFakeUpstream(refuses(429, errorBody("tomorrow"), { "retry-after": "3600" }));
  const { model } = openUpstream(upstream.url);
  const { error } = await ask(model);
  expect(error).toMatchObject({ code: "upstream_rate_limited", detail: { retryAfterMs: 3_600_000 } });
  expect(upstream.requests).toHaveLength(1);
});

it("an error page of megabytes is not read to its end", async () => {
  const upstream = await startFakeUpstream(refuses(400, "x".repeat(20_000_000)));
  const { model } = openUpstream(upstream.url);
  const { error } = await ask(model);
  expect(error?.code).toBe("invalid_request");
  expect(error?.message.length).toBeLessThan(600);
});
