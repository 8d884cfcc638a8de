import { describe, expect, it } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { createHarness, readChunks, readCompletion, readError, readEvents } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const usage = (prompt: number, completion: number, cached = 0) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 0,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
});

describe("a completion that is not streamed", () => {
  it("has exactly the fields of OpenAI's object", async () => {
    const { chat } = createHarness();
    const response = await chat({});
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: "chat.completion",
      created: expect.any(Number),
      model: "realm",
      system_fingerprint: "fp_0123456789",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello there.", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: usage(2, 4),
    });
  });

  it.each([
    ["end_token", "stop"],
    ["end_of_conversation", "stop"],
    ["stop_string", "stop"],
    ["max_tokens", "length"],
    ["window", "length"],
  ] as const)("tells the cause %s as finish_reason %s", async (cause, expected) => {
    const { chat } = createHarness({ models: [scriptedModel({ reply: { cause } })] });
    const body = await readCompletion(await chat({}));
    expect(body.choices[0]?.finish_reason).toBe(expected);
    expect(body.choices[0]?.realchat).toEqual(
      cause === "end_of_conversation" ? { end_of_conversation: true } : undefined,
    );
  });

  it("orders n choices by index and sums their usage", async () => {
    const model = scriptedModel({
      reply: (_, index) => ({ pieces: Array.from({ length: 3 - index }, () => `${index}`), cachedTokens: index }),
    });
    const { chat } = createHarness({ models: [model] });
    const body = await readCompletion(await chat({ n: 3 }));
    expect(body.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
    expect(body.choices.map((choice) => choice.message.content)).toEqual(["000", "11", "2"]);
    expect(body.usage).toEqual(usage(6, 4 + 3 + 2, 0 + 1 + 2));
  });

  it("asks the model for every choice under one seed and its own index", async () => {
    const model = scriptedModel();
    await createHarness({ models: [model] }).chat({ n: 2, seed: 7 });
    expect(model.calls.map(({ request }) => [request.sampling.seed, request.choiceIndex])).toEqual([
      [7, 0],
      [7, 1],
    ]);
  });

  it("cancels the other choices when one fails", async () => {
    const model = scriptedModel({
      isStepped: true,
      reply: (_, index) => (index === 1 ? { refuseWith: new EngineError("queue_full", "The queue is full.") } : {}),
    });
    const { chat } = createHarness({ models: [model] });
    expect((await chat({ n: 2 })).status).toBe(429);
    const call = await model.called(0);
    await call.ended;
    expect(call.cancelledIn).toBe("prefill");
  });
});

describe("a stream", () => {
  it("begins with the role, then text as it comes, then one finish reason, then the end mark", async () => {
    const { chat } = createHarness();
    const response = await chat({ stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const chunks = await readChunks(response);
    const head = {
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion.chunk",
      created: expect.any(Number),
      model: "realm",
      system_fingerprint: "fp_0123456789",
    };
    const choice = (delta: object, finish: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    });
    expect(chunks).toEqual([
      choice({ role: "assistant", content: "", refusal: null }),
      choice({ content: "Hello" }),
      choice({ content: " there" }),
      choice({ content: "." }),
      choice({}, "stop"),
    ]);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it("carries usage null in every chunk and the usage alone in one more, when asked for", async () => {
    const { chat } = createHarness();
    const chunks = await readChunks(await chat({ stream: true, stream_options: { include_usage: true } }));
    const last = chunks.pop();
    expect(last).toMatchObject({ choices: [], usage: usage(2, 4) });
    for (const chunk of chunks) expect(chunk["usage"]).toBeNull();
  });

  it("has no usage field when it was not asked for", async () => {
    const { chat } = createHarness();
    for (const chunk of await readChunks(await chat({ stream: true, stream_options: { include_usage: false } }))) {
      expect(chunk).not.toHaveProperty("usage");
    }
  });

  it("tells the end of a conversation in its last chunk alone", async () => {
    const { chat } = createHarness({
      models: [scriptedModel({ reply: { pieces: [], cause: "end_of_conversation" } })],
    });
    const chunks = await readChunks(await chat({ stream: true }));
    expect(chunks).toHaveLength(2);
    expect(chunks[0]).not.toHaveProperty("choices.0.realchat");
    expect(chunks[1]).toMatchObject({
      choices: [{ delta: {}, finish_reason: "stop", realchat: { end_of_conversation: true } }],
    });
  });

  it("interleaves choices and gives each its own role, text and end", async () => {
    const model = scriptedModel({ reply: (_, index) => ({ pieces: [`a${index}`, `b${index}`] }) });
    const { chat } = createHarness({ models: [model] });
    const chunks = (await readChunks(await chat({ stream: true, n: 3 }))) as {
      choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[];
    }[];
    for (const index of [0, 1, 2]) {
      const own = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
      expect(own.map(({ delta }) => delta.role ?? delta.content ?? "end")).toEqual([
        "assistant",
        `a${index}`,
        `b${index}`,
        "end",
      ]);
      expect(own.map((choice) => choice.finish_reason)).toEqual([null, null, null, "stop"]);
    }
    const order = chunks.map(({ choices }) => choices[0]?.index);
    expect(order.lastIndexOf(0)).toBeGreaterThan(order.indexOf(2));
  });

  it("answers a refusal before the first event with its own status", async () => {
    const refuseWith = new EngineError("queue_full", "The queue is full.", { retryAfterMs: 2500 });
    const { chat } = createHarness({ models: [scriptedModel({ reply: { refuseWith } })] });
    const response = await chat({ stream: true });
    expect(response.headers.get("retry-after")).toBe("3");
    expect(response.headers.get("retry-after-ms")).toBe("2500");
    expect(await readError(response)).toMatchObject({
      status: 429,
      error: { type: "requests", code: "rate_limit_exceeded" },
    });
  });

  it("tells a failure after its beginning as an error event and ends without the end mark", async () => {
    const error = new EngineError("ort_failed", "secret detail of the device");
    const { chat, takeErrors } = createHarness({
      models: [scriptedModel({ reply: { failAfter: { pieces: 2, error } } })],
    });
    const events = await readEvents(await chat({ stream: true }));
    const last = JSON.parse(events.at(-1) ?? "") as object;
    expect(last).toEqual({ error: { message: expect.any(String), type: "server_error", param: null, code: null } });
    expect(JSON.stringify(last)).not.toContain("secret");
    expect(takeErrors()).toMatchObject([
      { message: "request failed", error: { message: "secret detail of the device" } },
    ]);
  });

  it("sends a comment when nothing comes for the keep-alive interval, in prefill too", async () => {
    const model = scriptedModel({ isStepped: true });
    const { chat } = createHarness({ models: [model], config: { sseKeepAliveS: 0.01 } });
    // Answers although no event has come yet.
    const response = await chat({ stream: true });
    const reader = response.body?.getReader();
    const read = async () => new TextDecoder().decode((await reader?.read())?.value);
    expect(await read()).toBe(": keep-alive\n\n");
    expect(await read()).toBe(": keep-alive\n\n");
    model.step(5);
    let rest = "";
    for (let text = await read(); text !== ""; text = await read()) rest += text;
    expect(rest.startsWith("data: ")).toBe(true);
    expect(rest.endsWith("data: [DONE]\n\n")).toBe(true);
  });

  it("frees the sequence when its reader cancels", async () => {
    const model = scriptedModel({ isStepped: true });
    const { chat, metrics } = createHarness({ models: [model] });
    const pending = chat({ stream: true });
    const call = await model.called(0);
    model.step(2);
    const response = await pending;
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await call.ended;
    expect(call.cancelledIn).toBe("decode");
    await expect.poll(() => metrics.render()).toMatch(/realchat_requests_total\{.*outcome="abort"\} 1/);
  });
});
