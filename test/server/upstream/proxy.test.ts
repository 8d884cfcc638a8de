import OpenAI, { APIError, BadRequestError, InternalServerError, RateLimitError } from "openai";
import { describe, expect, it, onTestFinished } from "vitest";
import { openRegistry } from "../../../server/registry.ts";
import { startServer } from "../../../server/main.ts";
import { captureLog, testConfig } from "../../support/app-harness.ts";
import {
  breaksOff,
  errorBody,
  type FakeAnswer,
  hangs,
  refuses,
  says,
  startFakeUpstream,
  streams,
} from "../../support/fake-upstream.ts";
import { settingsOf } from "./ask.ts";

/** Our server with an upstream as its only model, and the official client pointed at us. */
async function connect(over: object, ...script: readonly FakeAnswer[]) {
  const upstream = await startFakeUpstream(...script);
  const captured = captureLog();
  const prices = { inputPerMillion: 1, outputPerMillion: 2 };
  const config = testConfig({
    modelRoots: [],
    drainTimeoutS: 0,
    upstreams: [settingsOf(upstream.url, { maxRetries: 1, prices, ...over })],
  });
  const server = await startServer(config, openRegistry, captured.log, new AbortController().signal);
  onTestFinished(server.drain);
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "ours", maxRetries: 0 });
  return { upstream, client, url: server.url, ...captured };
}

const messages = [{ role: "user" as const, content: "Hello" }];
const create = (client: OpenAI, over: object = {}) =>
  client.chat.completions.create({ model: "far", messages, ...over });
const metrics = async (url: string) => (await fetch(`${url}/metrics`)).text();

async function errorOf(client: OpenAI, over: object = {}): Promise<APIError> {
  const error: unknown = await create(client, over).catch((thrown: unknown) => thrown);
  if (!(error instanceof APIError)) throw new Error("the request was answered");
  return error;
}

describe("the official client through the proxy", () => {
  it("lists the model as a remote one", async () => {
    const { client, url } = await connect({}, says(["x"]));
    const { data } = await client.models.list();
    expect(data).toMatchObject([{ id: "far", role: "assistant", device: "remote", context_window: 1000 }]);
    expect(JSON.stringify(data)).not.toContain("127.0.0.1");
    expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({
      status: "ready",
      models: [{ device: "remote" }],
    });
  });

  it("reads an answer, whole and streamed, under our names and with the endpoint's counts", async () => {
    const { client, upstream } = await connect({}, says(["Good", " day"]));
    const whole = await create(client);
    expect(whole).toMatchObject({
      model: "far",
      choices: [{ message: { role: "assistant", content: "Good day" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 10, completion_tokens: 3 },
    });
    const stream = client.chat.completions.stream({ model: "far", messages, stream_options: { include_usage: true } });
    expect(await stream.finalContent()).toBe("Good day");
    expect(await stream.totalUsage()).toMatchObject({ completion_tokens: 3 });
    expect(upstream.requests.map(({ body }) => body["model"])).toEqual(["far-1", "far-1"]);
  });

  it("asks the endpoint once for every choice", async () => {
    const { client, upstream } = await connect({}, says(["x"]));
    const { choices } = await create(client, { n: 3, seed: 5 });
    expect(choices).toHaveLength(3);
    expect(new Set(upstream.requests.map(({ body }) => body["seed"]))).toEqual(new Set([5, 6, 7]));
  });

  it("is told where counts are estimates", async () => {
    const { client } = await connect({}, says(["x"], { usage: null }));
    expect((await create(client)).usage).toMatchObject({ realchat: { is_estimated: true } });
  });

  it("that hangs up makes us hang up", async () => {
    const { client, upstream } = await connect({}, hangs("some"));
    const stream = await client.chat.completions.create({ model: "far", messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === "some") break;
    await upstream.requests[0]?.closed;
    expect(upstream.requests[0]?.wasAnswered).toBe(false);
  });
});

describe("what the endpoint fails with is told in OpenAI's shape", () => {
  it.each([
    ["500", refuses(500, "<html>"), 502, "upstream_failed", 2],
    ["503", refuses(503), 503, "upstream_overloaded", 2],
    ["garbage", streams("data: {oops\n\n"), 502, "upstream_failed", 2],
    ["silence", hangs(), 504, "upstream_timeout", 2],
    ["a bad key", refuses(401, errorBody("Incorrect API key provided: sk-ab***yz")), 502, "upstream_refused", 1],
    ["an unknown model", refuses(404, errorBody("no such model: far-1")), 502, "upstream_refused", 1],
  ])("%s", async (_, answer, status, code, attempts) => {
    const { client, upstream, lines } = await connect({ timeoutS: 1 }, answer);
    const error = await errorOf(client);
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error).toMatchObject({ status, code, type: "server_error", param: null });
    expect(error.message).not.toMatch(/sk-ab|far-1|127\.0\.0\.1/);
    expect(error.headers?.get("x-should-retry") ?? null).toBe(code === "upstream_refused" ? "false" : null);
    expect(upstream.requests).toHaveLength(attempts);
    expect(lines).toContainEqual(expect.objectContaining({ level: "warn", message: "upstream failed", code }));
  });

  it("a rate limit, with the time to come back", async () => {
    const { client } = await connect({}, refuses(429, errorBody("slow"), { "retry-after": "90" }));
    const error = await errorOf(client);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect([error.headers?.get("retry-after"), error.headers?.get("retry-after-ms")]).toEqual(["90", "90000"]);
  });

  it("a context overflow and a bad request, as the client's own", async () => {
    const overflow = "The input (9000 tokens) is longer than the model's context length (8192 tokens).";
    const { client } = await connect(
      {},
      refuses(400, { object: "error", message: overflow, code: 400 }),
      refuses(400, errorBody("No.")),
    );
    const first = await errorOf(client);
    expect(first).toBeInstanceOf(BadRequestError);
    expect(first).toMatchObject({ code: "context_length_exceeded", param: "messages" });
    expect(first.message).toContain("maximum context length is 8192 tokens. However, your messages resulted in 9000");
    expect(await errorOf(client)).toMatchObject({ status: 400, code: "invalid_value" });
    expect(await errorOf(client, { top_k: 5 })).toMatchObject({ status: 400, param: "top_k" });
  });

  it("in the middle of a stream, as an error within it", async () => {
    const { client, upstream } = await connect({}, breaksOff("Once"));
    const stream = await client.chat.completions.create({ model: "far", messages, stream: true });
    let text = "";
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    };
    await expect(read()).rejects.toMatchObject({ code: "upstream_failed" });
    expect(text).toBe("Once");
    expect(upstream.requests).toHaveLength(1);
  });
});

it("the metrics tell requests, retries, tokens, money and the limit of every upstream", async () => {
  const { client, url } = await connect({ maxConcurrency: 4 }, refuses(429, errorBody("slow")), says(["x"]));
  await create(client);
  const text = await metrics(url);
  for (const sample of [
    'realchat_upstream_requests_total{model="far",outcome="stop"} 1',
    'realchat_upstream_retries_total{model="far",reason="rate_limited"} 1',
    'realchat_upstream_tokens_total{model="far",kind="prompt"} 10',
    'realchat_upstream_tokens_total{model="far",kind="completion"} 2',
    'realchat_upstream_estimated_attempts_total{model="far"} 0',
    'realchat_upstream_cost_total{model="far",currency="USD"} 0.000014',
    'realchat_upstream_concurrency_limit{model="far"} 3',
    'realchat_upstream_requests_running{model="far"} 0',
    'realchat_upstream_requests_waiting{model="far"} 0',
    'realchat_sequences_total{model="far",role="assistant",outcome="stop"} 1',
    'realchat_generation_tokens_total{model="far",role="assistant"} 2',
    'realchat_requests_total{model="far",role="assistant",endpoint="chat_completions",outcome="stop"} 1',
  ]) {
    expect(text).toContain(`${sample}\n`);
  }
  // Read again, nothing is counted twice.
  expect(await metrics(url)).toContain('realchat_upstream_requests_total{model="far",outcome="stop"} 1\n');
});
