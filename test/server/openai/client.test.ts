import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { hello } from "../../support/app-harness.ts";
import { listen } from "../../support/listening.ts";
import { type ScriptedReply, sampled, scriptedModel } from "../../support/scripted-model.ts";

const messages = [...hello];

/** The official client, pointed at a listening server. */
async function connect(options: Parameters<typeof listen>[0] = {}, apiKey = "none", maxRetries = 0) {
  const server = await listen(options);
  return { ...server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries }) };
}

const replyWith = (refuseWith: Error) => ({ models: [scriptedModel({ reply: { refuseWith } })] });
const ask = (client: OpenAI, over: object = {}) =>
  client.chat.completions.create({ model: "realm", messages, ...over });

describe("the official client", () => {
  it("reads a completion and the request's id", async () => {
    const { client } = await connect();
    const reply = await client.chat.completions.create({ model: "realm", messages });
    expect(reply.choices[0]?.message.content).toBe("Hello there.");
    expect(reply.usage?.total_tokens).toBe(6);
    expect(reply._request_id).toMatch(/^req_/);
  });

  it("reads a stream with its usage", async () => {
    const { client } = await connect();
    const stream = await client.chat.completions.create({
      model: "realm",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    expect(text).toBe("Hello there.");
    expect(usage?.completion_tokens).toBe(4);
  });

  it("gathers a stream of several choices into completions by itself", async () => {
    const model = scriptedModel({ reply: (_, index) => ({ pieces: [`${index}`, "!"] }) });
    const { client } = await connect({ models: [model] });
    const final = await client.chat.completions.stream({ model: "realm", messages, n: 3 }).finalChatCompletion();
    expect(final.choices.map(({ message }) => message.content)).toEqual(["0!", "1!", "2!"]);
    expect(final.choices.map(({ finish_reason }) => finish_reason)).toEqual(["stop", "stop", "stop"]);
  });

  it("lists and retrieves models, with a slash in the id", async () => {
    const { client } = await connect({ models: [scriptedModel({ info: { id: "org/name" } })] });
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toEqual(["org/name"]);
    expect((await client.models.retrieve("org/name")).owned_by).toBe("tests");
  });

  it("cancels the work when its loop is left early", async () => {
    const model = scriptedModel({ isStepped: true });
    const { client } = await connect({ models: [model] });
    const pending = client.chat.completions.create({ model: "realm", messages, stream: true });
    const call = await model.called(0);
    model.step(2);
    const stream = await pending;
    // The first chunk is enough.
    for await (const chunk of stream) if (chunk.choices.length > 0) break;
    await call.ended;
    expect(call.cancelledIn).toBe("decode");
  });

  it("cancels the work when its caller aborts a request that is not streamed", async () => {
    const model = scriptedModel({ isStepped: true });
    const { client } = await connect({ models: [model] });
    const caller = new AbortController();
    const pending = client.chat.completions.create({ model: "realm", messages }, { signal: caller.signal });
    const rejected = pending.catch((reason: unknown) => reason);
    const call = await model.called(0);
    model.step(2);
    await sampled(call, 1);
    caller.abort();
    expect(await rejected).toBeInstanceOf(APIUserAbortError);
    await call.ended;
    expect(call.cancelledIn).toBe("decode");
  });
});

describe("errors arrive as the client's own classes", () => {
  it("an unknown model", async () => {
    const { client } = await connect();
    const error = await ask(client, { model: "gpt-4" }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found", param: null, requestID: expect.stringMatching(/^req_/) });
  });

  it("a faulty field", async () => {
    const { client } = await connect();
    const error = await ask(client, { temperature: 9 }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: "temperature", code: "decimal_above_max_value" });
  });

  it("a prompt that is too long", async () => {
    const { client } = await connect(replyWith(new EngineError("context_length_exceeded", "long")));
    const error = await ask(client).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ code: "context_length_exceeded", param: "messages" });
  });

  it("a wrong key", async () => {
    const { client } = await connect({ config: { apiKeys: ["right"] } }, "wrong");
    await expect(ask(client)).rejects.toBeInstanceOf(AuthenticationError);
  });

  it("a full queue", async () => {
    const { client } = await connect(replyWith(new EngineError("queue_full", "full", { retryAfterMs: 5 })));
    const error = await ask(client).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ type: "requests", code: "rate_limit_exceeded" });
  });

  it("a model that is closing", async () => {
    const { client } = await connect(replyWith(new EngineError("draining", "closing")));
    const error = await ask(client).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error).toMatchObject({ status: 503 });
  });

  it("a failure inside a stream, after what came before it", async () => {
    const model = scriptedModel({
      isStepped: true,
      reply: { failAfter: { pieces: 2, error: new EngineError("ort_failed", "device lost") } },
    });
    const { client, takeErrors } = await connect({ models: [model] });
    const pending = client.chat.completions.create({ model: "realm", messages, stream: true });
    await model.called(0);
    model.step(1);
    const stream = await pending;
    model.step(2);
    let text = "";
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    };
    const error = await read().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ type: "server_error" });
    expect(text).toBe("Hello there");
    expect(takeErrors()).toHaveLength(1);
  });
});

describe("the client's own retries", () => {
  const refused =
    (count: number, code: "queue_full" | "draining") =>
    (_: unknown, index: number): ScriptedReply => {
      attempts.push(index);
      return attempts.length <= count ? { refuseWith: new EngineError(code, "later", { retryAfterMs: 1 }) } : {};
    };
  let attempts: number[] = [];

  it.each([false, true])("get through a full queue without the caller's help (streamed %s)", async (stream) => {
    attempts = [];
    const { client } = await connect({ models: [scriptedModel({ reply: refused(2, "queue_full") })] }, "none", 2);
    const startMs = performance.now();
    await client.chat.completions.create({ model: "realm", messages, stream });
    expect(attempts).toHaveLength(3);
    // It waited as long as it was told, not its own half second.
    expect(performance.now() - startMs).toBeLessThan(400);
  });

  it("do not repeat what can only fail again", async () => {
    attempts = [];
    const { client, lines } = await connect({}, "none", 2);
    await expect(client.chat.completions.create({ model: "realm", messages, n: 0 })).rejects.toThrow(BadRequestError);
    expect(lines.filter(({ message }) => message === "request")).toHaveLength(1);
  });
});
