import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";

// An unmodified client against the real process and the models in the repository.
let server: ServerProcess;
let client: OpenAI;
beforeAll(async () => {
  server = await startServerProcess([], { REALCHAT_MODELS: "models" });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  const errors = server.logged().filter(({ level }) => level === "error");
  expect(await server.stop()).toBe(0);
  expect(errors).toEqual([]);
});

const ask = [{ role: "user" as const, content: "I want to find a restaurant in San Jose." }];
const reply = (completion: OpenAI.ChatCompletion): string | null => completion.choices[0]!.message.content;
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const values = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
async function untilIdle(): Promise<void> {
  while ((await metric("realchat_requests_running")) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("models", () => {
  it("are listed and retrieved with their roles", async () => {
    const roles: Record<string, unknown> = {};
    for await (const model of client.models.list()) roles[model.id] = (model as { role?: string }).role;
    expect(roles).toEqual({ realm: "assistant", usergpt: "user" });
    expect(await client.models.retrieve("usergpt")).toMatchObject({ object: "model", context_window: 2048 });
    await expect(client.models.retrieve("gpt-4")).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe("chat completions", () => {
  it("both models answer, greedily always the same, streamed or not", async () => {
    for (const model of ["realm", "usergpt"]) {
      const messages =
        model === "realm"
          ? ask
          : [...ask, { role: "assistant" as const, content: "What kind of food would you like?" }];
      const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
      expect(whole.choices[0]).toMatchObject({ finish_reason: "stop", message: { role: "assistant", refusal: null } });
      expect(reply(whole)).toMatch(/\w+ \w+/);
      const stream = await client.chat.completions.create({
        model,
        messages,
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(reply(whole));
      expect(chunks.filter(({ choices }) => choices[0]?.finish_reason === "stop")).toHaveLength(1);
      expect(chunks.filter(({ usage }) => usage)).toHaveLength(1);
      expect(chunks.at(-1)).toMatchObject({
        choices: [],
        usage: { completion_tokens: whole.usage!.completion_tokens },
      });
    }
  });

  it("the client's own stream helper assembles the same message", async () => {
    const parameters = { model: "realm", messages: ask, temperature: 0.8, seed: 11 };
    const helper = client.chat.completions.stream(parameters);
    const completion = await helper.finalChatCompletion();
    expect(reply(completion)).toBe(reply(await client.chat.completions.create(parameters)));
  });

  it("a user model opens a conversation from nothing, and says when it is over", async () => {
    const opener = await client.chat.completions.create({ model: "usergpt", messages: [], seed: 1, temperature: 0.7 });
    expect(reply(opener)!.length).toBeGreaterThan(5);
    const over = await client.chat.completions.create({
      model: "usergpt",
      messages: [
        { role: "user", content: "Find me a dentist in Berkeley." },
        { role: "assistant", content: "Sunny Dental is a nice dentist in Berkeley." },
        { role: "user", content: "Thank you, that is all." },
        { role: "assistant", content: "Have a great day!" },
      ],
      temperature: 0,
    });
    expect(over.choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: "" },
      realchat: { end_of_conversation: true },
    });
    const asUser = await client.chat.completions.create({
      model: "usergpt",
      messages: [],
      seed: 1,
      temperature: 0.7,
      response_role: "user",
    } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming);
    expect(asUser.choices[0]!.message).toMatchObject({ role: "user", content: reply(opener) });
  });

  it("n choices differ, are reproduced by their seed, and are paid for together", async () => {
    const parameters = { model: "realm", messages: ask, n: 3, seed: 5, max_completion_tokens: 12 };
    const [first, second] = [
      await client.chat.completions.create(parameters),
      await client.chat.completions.create(parameters),
    ];
    const texts = first.choices.map(({ message }) => message.content);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(second.choices.map(({ message }) => message.content)).toEqual(texts);
    expect(first.usage!.completion_tokens).toBeGreaterThan(12);
    expect(first.usage!.completion_tokens).toBeLessThanOrEqual(36);
    expect(first.usage!.total_tokens).toBe(first.usage!.prompt_tokens + first.usage!.completion_tokens);
  });

  it("stops at a stop string without showing any of it", async () => {
    const whole = reply(await client.chat.completions.create({ model: "realm", messages: ask, temperature: 0 }))!;
    const stop = whole.slice(6, 11);
    const cut = await client.chat.completions.create({ model: "realm", messages: ask, temperature: 0, stop });
    expect(reply(cut)).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(cut.choices[0]!.finish_reason).toBe("stop");
    const stream = await client.chat.completions.create({
      model: "realm",
      messages: ask,
      temperature: 0,
      stop: ["@@@", stop],
      stream: true,
    });
    let streamed = "";
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? "";
    expect(streamed).toBe(reply(cut));
  });

  it("honours limits, text parts, developer messages, bias and penalties", async () => {
    const short = await client.chat.completions.create({ model: "realm", messages: ask, max_tokens: 3 });
    expect([short.choices[0]!.finish_reason, short.usage!.completion_tokens]).toEqual(["length", 3]);
    const parts = await client.chat.completions.create({
      model: "realm",
      messages: [{ role: "user", content: [{ type: "text", text: ask[0]!.content }] }],
      temperature: 0,
    });
    expect(reply(parts)).toBe(
      reply(await client.chat.completions.create({ model: "realm", messages: ask, temperature: 0 })),
    );
    const directed = await client.chat.completions.create({
      model: "realm",
      messages: [{ role: "developer", content: "Be brief." }, ...ask],
      temperature: 0,
      presence_penalty: 0.5,
      frequency_penalty: 0.5,
    });
    expect(reply(directed)!.length).toBeGreaterThan(0);
    const biased = await client.chat.completions.create({
      model: "realm",
      messages: ask,
      temperature: 0,
      max_tokens: 4,
      logit_bias: { "100": 100 },
    });
    expect(reply(biased)).toMatch(/^(.+)\1\1\1$/s);
  });

  it("reports what the cache held of a continued conversation", async () => {
    const first = await client.chat.completions.create({ model: "realm", messages: ask, temperature: 0 });
    const second = await client.chat.completions.create({
      model: "realm",
      messages: [
        ...ask,
        { role: "assistant", content: reply(first) },
        { role: "user", content: "I would like Italian food." },
      ],
      temperature: 0,
    });
    expect(second.usage!.prompt_tokens_details!.cached_tokens).toBeGreaterThanOrEqual(first.usage!.prompt_tokens);
  });

  it("sixteen at once get what each gets alone", async () => {
    const requests = Array.from({ length: 16 }, (_, index) => ({
      model: index % 2 === 0 ? "realm" : "usergpt",
      messages: [
        ...ask,
        ...(index % 2 === 0 ? [] : [{ role: "assistant" as const, content: `There are ${index} places.` }]),
      ],
      seed: index,
      temperature: 1,
    }));
    const together = await Promise.all(requests.map((request) => client.chat.completions.create(request)));
    for (const [index, request] of requests.entries()) {
      expect(reply(await client.chat.completions.create(request))).toBe(reply(together[index]!));
    }
  });

  it("counts what it reported", async () => {
    const names = ["realchat_prompt_tokens_total", "realchat_generation_tokens_total"];
    const before = await Promise.all(names.map(metric));
    const completions = await Promise.all(
      [1, 2, 3].map((seed) => client.chat.completions.create({ model: "realm", messages: ask, seed })),
    );
    await untilIdle();
    const after = await Promise.all(names.map(metric));
    const sum = (field: "prompt_tokens" | "completion_tokens"): number =>
      completions.reduce((total, { usage }) => total + usage![field], 0);
    expect(after.map((value, index) => value - before[index]!)).toEqual([
      sum("prompt_tokens"),
      sum("completion_tokens"),
    ]);
  });
});

describe("errors", () => {
  it.each([
    [{ model: "realm", messages: ask, temperature: 9 }, "temperature"],
    [{ model: "realm", messages: ask, tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
    [{ model: "realm", messages: ask, response_format: { type: "json_object" } }, "response_format"],
    [{ model: "realm", messages: ask, logprobs: true }, "logprobs"],
    [{ model: "realm", messages: [] }, "messages"],
    [{ model: "usergpt", messages: ask }, "messages"],
    [{ model: "realm", messages: [{ role: "wizard", content: "x" }] }, "messages[0].role"],
  ])("%j is refused as a bad request that names its field", async (body, param) => {
    const refused = client.chat.completions.create(body as OpenAI.ChatCompletionCreateParamsNonStreaming);
    const error = await refused.then(
      () => null,
      (failure: unknown) => failure as BadRequestError,
    );
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error!.param).toMatch(new RegExp(`^${param.replaceAll("[", "\\[")}`));
  });

  it("an unknown model is not found", async () => {
    const refused = client.chat.completions.create({ model: "gpt-9", messages: ask });
    await expect(refused).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  it("a prompt longer than the window says both lengths", async () => {
    const content = "hello there ".repeat(2000);
    const refused = client.chat.completions.create({ model: "realm", messages: [{ role: "user", content }] });
    await expect(refused).rejects.toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      param: "messages",
      message: expect.stringContaining("maximum context length is 2048 tokens"),
    });
  });
});

describe("hanging up", () => {
  it.each([true, false])("frees the slot at the next step (streamed: %s)", async (isStreamed) => {
    await untilIdle();
    const aborted = await metric('realchat_sequences_total{model="realm",role="assistant",outcome="abort"}');
    const controller = new AbortController();
    const parameters = {
      model: "realm",
      messages: ask,
      max_tokens: 900,
      logit_bias: { "4": -100, "5": -100 },
      presence_penalty: 2,
    };
    const signal = { signal: controller.signal };
    const call = async (): Promise<void> => {
      if (!isStreamed) return void (await client.chat.completions.create(parameters, signal));
      const stream = await client.chat.completions.create({ ...parameters, stream: true }, signal);
      for await (const _ of stream) controller.abort();
    };
    const outcome = call().catch(() => {});
    if (!isStreamed) {
      while ((await metric("realchat_requests_running")) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      controller.abort();
    }
    await outcome;
    await untilIdle();
    expect(await metric('realchat_sequences_total{model="realm",role="assistant",outcome="abort"}')).toBe(aborted + 1);
    expect(await metric("realchat_slots_used")).toBe(0);
    expect(reply(await client.chat.completions.create({ model: "realm", messages: ask, temperature: 0 }))).toBeTruthy();
  });
});
