import { describe, expect, it, onTestFinished } from "vitest";
import {
  errorBody,
  type FakeAnswer,
  hangs,
  refuses,
  says,
  startFakeUpstream,
  streams,
} from "../../support/fake-upstream.ts";
import { ask, openUpstream, plainSampling, requestOf } from "./ask.ts";

describe("an answer becomes events", () => {
  it("prompt, text as it comes, end with the endpoint's own counts", async () => {
    const usage = { prompt_tokens: 12, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 8 } };
    const { model } = openUpstream((await startFakeUpstream(says(["Good", " day"], { usage }))).url);
    const { events } = await ask(model);
    expect(events).toEqual([
      { type: "prompt", promptTokens: 10, cachedTokens: 0 },
      { type: "text", text: "Good" },
      { type: "text", text: " day" },
      {
        type: "end",
        cause: "end_token",
        usage: { promptTokens: 12, cachedTokens: 8, completionTokens: 3 },
        tokenIds: [],
      },
    ]);
  });

  it("an empty answer still has its beginning and its end", async () => {
    const { model } = openUpstream((await startFakeUpstream(says([]))).url);
    expect((await ask(model)).events.map(({ type }) => type)).toEqual(["prompt", "end"]);
  });

  it.each([
    ["stop", {}, "end_token"],
    ["stop", { stop_reason: null }, "end_token"],
    ["stop", { stop_reason: 128_001 }, "end_token"],
    ["stop", { stop_reason: "END" }, "stop_string"],
    ["eos", {}, "end_token"],
    ["length", {}, "max_tokens"],
    ["stop", { realchat: { end_of_conversation: true } }, "end_of_conversation"],
    ["stop", { realchat: "what?" }, "end_token"],
  ])("finish_reason %s with %j is %s", async (finish, extra, cause) => {
    const { model } = openUpstream((await startFakeUpstream(says(["x"], { finish, extra }))).url);
    expect((await ask(model, { maxTokens: 2 })).end).toMatchObject({ cause });
  });

  it.each([
    [{ prompt_tokens: 990, completion_tokens: 10 }, null, "window"],
    [{ prompt_tokens: 990, completion_tokens: 10 }, 500, "window"],
    [{ prompt_tokens: 990, completion_tokens: 10 }, 10, "max_tokens"],
    [{ prompt_tokens: 100, completion_tokens: 10 }, null, "max_tokens"],
    [null, null, "max_tokens"],
  ])("a cut answer that used %j under a limit of %j ended by %s", async (usage, maxTokens, cause) => {
    const { model } = openUpstream((await startFakeUpstream(says(["x"], { finish: "length", usage }))).url);
    expect((await ask(model, { maxTokens })).end).toMatchObject({ cause });
  });

  it("a server that knows no streams is understood all the same", async () => {
    const choices = [{ message: { role: "assistant", content: "All\nat once." }, finish_reason: "stop" }];
    const whole = { choices, usage: { prompt_tokens: 3, completion_tokens: 4 } };
    const { model } = openUpstream((await startFakeUpstream(refuses(200, JSON.stringify(whole, null, 2)))).url);
    const { text, end } = await ask(model);
    expect(text).toBe("All\nat once.");
    expect(end).toMatchObject({ cause: "end_token", usage: { promptTokens: 3, cachedTokens: 0, completionTokens: 4 } });
  });

  it("a refusal in its own field is what the model said", async () => {
    const chunk = { choices: [{ delta: { refusal: "I would rather not." }, finish_reason: "stop" }] };
    const { model } = openUpstream((await startFakeUpstream(streams(`data: ${JSON.stringify(chunk)}\n\n`))).url);
    expect((await ask(model)).text).toBe("I would rather not.");
  });

  it.each([
    ["none", null],
    ["nonsense", { prompt_tokens: "many", completion_tokens: -1 }],
  ])("usage is estimated and marked when the endpoint gives %s", async (_, usage) => {
    const { model, account } = openUpstream((await startFakeUpstream(says(["12345678", "9"], { usage }))).url);
    const { end } = await ask(model);
    expect(end).toMatchObject({ usage: { promptTokens: 10, cachedTokens: 0, completionTokens: 3, isEstimated: true } });
    expect(account().totals).toMatchObject({ estimatedAttempts: 1, promptTokens: 10, completionTokens: 3 });
  });
});

describe("who says nothing where it must speak", () => {
  it("is asked again", async () => {
    const upstream = await startFakeUpstream(says([]), says(["Hi"]));
    const { model } = openUpstream(upstream.url);
    expect((await ask(model, { mustSpeak: true })).text).toBe("Hi");
    expect(upstream.requests).toHaveLength(2);
  });
});

describe("a request that is given up", () => {
  it("hangs up on the endpoint, while it thinks", async () => {
    const upstream = await startFakeUpstream(hangs());
    const { model, account, ends } = openUpstream(upstream.url);
    const controller = new AbortController();
    const asked = ask(model, {}, controller.signal);
    await expect.poll(() => upstream.requests.length).toBe(1);
    controller.abort();
    expect((await asked).error?.code).toBe("cancelled");
    await upstream.requests[0]?.closed;
    expect([...account().outcomes]).toEqual([["abort", 1]]);
    expect(ends).toMatchObject([{ outcome: "abort", completionTokens: 0, firstTokenMs: null }]);
  });

  it("hangs up when its reader leaves, and what was said is booked", async () => {
    const upstream = await startFakeUpstream(hangs("some", " words"));
    const { model, account } = openUpstream(upstream.url);
    for await (const event of model.generate(requestOf(), new AbortController().signal)) {
      if (event.type === "text") break;
    }
    await upstream.requests[0]?.closed;
    expect(account().totals).toMatchObject({ requests: 1, estimatedAttempts: 1, completionTokens: 1 });
    expect(account().concurrency.running).toBe(0);
  });

  it("does not wait for its next attempt", async () => {
    const upstream = await startFakeUpstream(refuses(429, errorBody("later"), { "retry-after": "30" }));
    const { model } = openUpstream(upstream.url);
    const controller = new AbortController();
    const asked = ask(model, {}, controller.signal);
    await expect.poll(() => upstream.requests[0]?.wasAnswered).toBe(true);
    controller.abort();
    expect((await asked).error?.code).toBe("cancelled");
    expect(upstream.requests).toHaveLength(1);
  });

  it("before it began asks nothing", async () => {
    const upstream = await startFakeUpstream(says(["x"]));
    const { model } = openUpstream(upstream.url);
    expect((await ask(model, {}, AbortSignal.abort())).error?.code).toBe("cancelled");
    expect(upstream.requests).toHaveLength(0);
  });
});

/** Says everything, the end mark too, and keeps the connection. */
const lingers: FakeAnswer = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
};

describe("a connection", () => {
  it("is used again after an answer, and after an error", async () => {
    const upstream = await startFakeUpstream(
      says(["a"]),
      refuses(500),
      says(["b"]),
      says(["c"], { gapMs: 5 }),
      says(["d"]),
    );
    const { model } = openUpstream(upstream.url);
    for (let count = 0; count < 8; count += 1) expect((await ask(model)).error).toBeNull();
    // Node's client may open a second one while the first is being released.
    expect(upstream.connections()).toBeLessThanOrEqual(3);
    expect(upstream.requests).toHaveLength(9);
  });

  it("is given up when the endpoint does not end its answer after the end mark, and nobody waits for that", async () => {
    const upstream = await startFakeUpstream(lingers);
    const { model } = openUpstream(upstream.url);
    expect((await ask(model)).text).toBe("x");
    expect(upstream.load.now).toBe(1);
    await upstream.requests[0]?.closed;
    expect(upstream.requests[0]?.wasAnswered).toBe(false);
  });
});

describe("closing", () => {
  it("ends what runs and what waits as draining, and takes nothing new", async () => {
    const upstream = await startFakeUpstream(hangs());
    const { model } = openUpstream(upstream.url, { maxConcurrency: 1 });
    const asked = [ask(model), ask(model)];
    await expect.poll(() => upstream.requests.length).toBe(1);
    await model.close();
    const codes = (await Promise.all([...asked, ask(model)])).map(({ error }) => error?.code);
    expect(codes).toEqual(["draining", "draining", "draining"]);
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("how many at once", () => {
  it("never more than allowed, and all of them in the end", async () => {
    const upstream = await startFakeUpstream(says(["x"], { gapMs: 5 }));
    const { model, account } = openUpstream(upstream.url, { maxConcurrency: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(model)));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 12 }, () => "x"));
    expect(upstream.load.most).toBeLessThanOrEqual(3);
    expect(account().concurrency).toEqual({ limit: 3, running: 0, waiting: 0 });
  });

  it("too many waiting are refused at once, and counted as rejected", async () => {
    const upstream = await startFakeUpstream(hangs());
    const { model, account, ends } = openUpstream(upstream.url, { maxConcurrency: 1 }, {}, 1);
    const controller = new AbortController();
    const first = [ask(model, {}, controller.signal), ask(model, {}, controller.signal)];
    expect((await ask(model)).error?.code).toBe("queue_full");
    expect([...account().outcomes]).toEqual([["rejected", 1]]);
    expect(ends).toEqual([]);
    controller.abort();
    await Promise.all(first);
  });

  it("fewer after rate limits, and a job of many requests comes through them", async () => {
    let asked = 0;
    const everyThird: FakeAnswer = (response, request) => {
      asked += 1;
      const answer = asked % 3 === 0 ? refuses(429, errorBody("slow down")) : says(["x"], { gapMs: 2 });
      return answer(response, request);
    };
    const upstream = await startFakeUpstream(everyThird);
    const { model, account } = openUpstream(upstream.url, { maxConcurrency: 16, maxRetries: 20 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(model)));
    expect(answers.filter(({ text }) => text === "x")).toHaveLength(60);
    expect(account().concurrency.limit).toBeLessThan(16);
    expect(account().totals.retries).toBe(upstream.requests.length - 60);
  });
});

describe("the books", () => {
  it("hold every attempt that was paid for, in money by the configured prices", async () => {
    const usage = { prompt_tokens: 1000, completion_tokens: 500, prompt_tokens_details: { cached_tokens: 400 } };
    const upstream = await startFakeUpstream(refuses(500), says(["x"], { usage }));
    const prices = { inputPerMillion: 2, cachedInputPerMillion: 1, outputPerMillion: 10, currency: "EUR" };
    const { model, ledger } = openUpstream(upstream.url, { prices });
    await ask(model);
    const before = ledger.snapshot();
    expect(before.get("far")).toMatchObject({ requests: 1, retries: 1, promptTokens: 1000, currency: "EUR" });
    expect(before.get("far")?.cost).toBeCloseTo((600 * 2 + 400 * 1 + 500 * 10) / 1e6, 12);
    await ask(model);
    expect(ledger.since(before).get("far")).toMatchObject({ requests: 1, retries: 0, completionTokens: 500 });
    const price = ledger.costOf("far", { promptTokens: 1_000_000, cachedTokens: 0, completionTokens: 0 });
    expect(price).toEqual({ amount: 2, currency: "EUR" });
    expect(ledger.costOf("near", { promptTokens: 1, cachedTokens: 0, completionTokens: 0 })).toBeNull();
  });
});

describe("what is sent over", () => {
  it("goes to the configured address with the configured key, and nothing from the environment", async () => {
    const before = { ...process.env };
    const foreign = {
      OPENAI_API_KEY: "sk-env",
      OPENAI_BASE_URL: "http://nowhere",
      OPENAI_ORG_ID: "org",
      OPENAI_CUSTOM_HEADERS: "Authorization: Bearer sk-env\nX-Else: where",
    };
    Object.assign(process.env, foreign);
    onTestFinished(() => {
      for (const name of Object.keys(foreign)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    });
    const upstream = await startFakeUpstream(says(["x"]));
    await ask(openUpstream(upstream.url, { apiKeyEnv: "KEY" }, { KEY: "sk-1" }).model);
    await ask(openUpstream(upstream.url).model);
    expect(upstream.requests.map(({ path }) => path)).toEqual(["/v1/chat/completions", "/v1/chat/completions"]);
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer sk-1", undefined]);
    expect(upstream.requests.map(({ headers }) => headers["openai-organization"])).toEqual([undefined, undefined]);
    expect(upstream.requests.map(({ headers }) => headers["x-else"])).toEqual([undefined, undefined]);
  });

  it("a wish that the endpoint cannot take is refused before it is asked", async () => {
    const upstream = await startFakeUpstream(says(["x"]));
    const { model, account } = openUpstream(upstream.url);
    const { error } = await ask(model, { sampling: { ...plainSampling, topK: 5 } });
    expect(error).toMatchObject({ code: "invalid_request", detail: { param: "top_k" } });
    expect(upstream.requests).toHaveLength(0);
    expect(account().totals.requests).toBe(0);
  });
});
