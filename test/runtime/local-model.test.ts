import { describe, expect, it } from "vitest";
import type { ChatEvent, ChatMessage, ChatModel, ChatRequest, ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import { createChatTemplate } from "../../runtime/text/chat-template.ts";
import { EngineError } from "../../runtime/errors.ts";
import { createLocalModel } from "../../runtime/local-model.ts";
import { createScriptedEngine, type ScriptedEngineOptions } from "../support/scripted-engine.ts";
import { lettersOf, tiny, tinyControls, tinyTemplate, tinyTokenizer } from "../support/tokenizers.ts";

const info = (role: ModelRole): ModelInfo => ({
  id: "tiny",
  role,
  contextWindow: 64,
  createdAtS: 0,
  ownedBy: "test",
  device: "cpu",
  precision: "int8",
  modelHash: "",
  templateHash: "",
  responseRole: role,
  vocabSize: 4096,
  recommendedSampling: { temperature: 1, topP: 1, topK: 0, minP: 0 },
});

function setUp(options: ScriptedEngineOptions = {}, role: ModelRole = "assistant") {
  const engine = createScriptedEngine(options);
  const template = createChatTemplate({
    source: tinyTemplate(role),
    specialTokens: { bos_token: "<|begin|>" },
    controlTokens: tinyControls,
    role,
  });
  const model = createLocalModel({
    info: info(role),
    engine,
    tokenizer: tinyTokenizer(),
    template,
    stopIds: [tiny.end, tiny.bye],
    endOfConversationId: tiny.bye,
  });
  return { engine, model };
}

const hello: ChatMessage = { role: "user", content: "abc" };
const never = new AbortController().signal;
const request = (change: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [hello],
  sampling: {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
    seed: 0,
  },
  choiceIndex: 0,
  maxTokens: null,
  stop: [],
  mustSpeak: false,
  ...change,
});

async function ask(model: ChatModel, change: Partial<ChatRequest> = {}, signal = never): Promise<ChatEvent[]> {
  const events: ChatEvent[] = [];
  for await (const event of model.generate(request(change), signal)) events.push(event);
  return events;
}

const textOf = (events: readonly ChatEvent[]) =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");
const endOf = (events: readonly ChatEvent[]) => events.find((event) => event.type === "end");

describe("a turn", () => {
  it("is a prompt event, text as it comes, and one end", async () => {
    const { model, engine } = setUp({ script: [...lettersOf("cd"), tiny.end], cachedTokens: 2 });
    expect(await ask(model)).toEqual([
      { type: "prompt", promptTokens: 7, cachedTokens: 2 },
      { type: "text", text: "c" },
      { type: "text", text: "d" },
      {
        type: "end",
        cause: "end_token",
        usage: { promptTokens: 7, cachedTokens: 2, completionTokens: 3 },
        tokenIds: lettersOf("cd"),
      },
    ]);
    expect(engine.requests[0]?.promptIds).toEqual([
      tiny.begin,
      tiny.user,
      ...lettersOf("abc"),
      tiny.end,
      tiny.assistant,
    ]);
    expect(engine.open).toBe(0);
  });

  it("shows whole characters only, and no empty text", async () => {
    const { model } = setUp({ script: [...lettersOf("🙂é"), ...lettersOf("🙂").slice(0, 2), tiny.end] });
    const events = await ask(model);
    expect(events.filter((event) => event.type === "text").map(({ text }) => text)).toEqual(["🙂", "é", "\uFFFD"]);
  });

  it("keeps white space at its beginning", async () => {
    const { model } = setUp({ script: [...lettersOf(" \n c"), tiny.end] });
    expect(textOf(await ask(model))).toBe(" \n c");
  });

  it("asks the engine for what the request says", async () => {
    const { model, engine } = setUp({ script: [tiny.end] });
    const sampling = { ...request().sampling, seed: 7, logitBias: new Map([[9, -1]]) };
    await ask(model, { sampling, choiceIndex: 3, maxTokens: 5, sessionId: "s" });
    expect(engine.requests[0]).toMatchObject({ sampling, choiceIndex: 3, maxTokens: 5, sessionId: "s" });
    expect([...(engine.requests[0]?.stopIds ?? [])]).toEqual([tiny.end, tiny.bye]);
    expect(engine.requests[0]?.bannedFirstIds.size).toBe(0);
    model.endSession("s");
    expect(engine.endedSessions).toEqual(["s"]);
    await model.close();
    expect(engine.isClosed).toBe(true);
  });

  it("that must speak may not begin with a stop token", async () => {
    const { model, engine } = setUp({ script: [tiny.bye, ...lettersOf("c"), tiny.end] });
    expect(textOf(await ask(model, { mustSpeak: true }))).toBe("c");
    expect([...(engine.requests[0]?.bannedFirstIds ?? [])]).toEqual([tiny.end, tiny.bye]);
  });

  it("of a user model opens the conversation when there are no messages", async () => {
    const { model, engine } = setUp({ script: [tiny.end] }, "user");
    await ask(model, { messages: [] });
    expect(engine.requests[0]?.promptIds).toEqual([tiny.begin, tiny.user]);
  });

  it("goes on after the very ids that were sampled", async () => {
    const { model, engine } = setUp({ script: [tiny.end] });
    await ask(model, { messages: [hello, { role: "assistant", content: "c", tokenIds: [70, 71] }, hello] });
    const asked = [tiny.user, ...lettersOf("abc"), tiny.end];
    const answered = [tiny.assistant, 70, 71, tiny.end];
    expect(engine.requests[0]?.promptIds).toEqual([tiny.begin, ...asked, ...answered, ...asked, tiny.assistant]);
  });
});

describe("the cause of an end", () => {
  it.each([
    ["end_token", [...lettersOf("c"), tiny.end], {}, 2],
    ["end_of_conversation", [tiny.bye], {}, 1],
    ["max_tokens", lettersOf("cdefg"), { maxTokens: 3 }, 3],
    ["window", lettersOf("c".repeat(100)), {}, 64 - 7],
  ] as const)("is %s, with every sampled token counted", async (cause, script, change, completionTokens) => {
    const { model } = setUp({ script });
    const end = endOf(await ask(model, change));
    expect(end).toMatchObject({ cause, usage: { completionTokens } });
  });

  it("is the window when the prompt fills it and the next token is no stop token", async () => {
    const content = "x".repeat(64 - 4);
    const { model } = setUp({ script: lettersOf("c") });
    expect(await ask(model, { messages: [{ role: "user", content }] })).toEqual([
      { type: "prompt", promptTokens: 64, cachedTokens: 0 },
      {
        type: "end",
        cause: "window",
        usage: { promptTokens: 64, cachedTokens: 0, completionTokens: 0 },
        tokenIds: [],
      },
    ]);
  });
});

describe("a stop string", () => {
  it("ends the turn before it, and the engine's work with it", async () => {
    const { model, engine } = setUp({ script: [...lettersOf("cd. efgh"), tiny.end] });
    let openAtEnd = -1;
    const events: ChatEvent[] = [];
    for await (const event of model.generate(request({ stop: [". e"] }), never)) {
      if (event.type === "end") openAtEnd = engine.open;
      events.push(event);
    }
    expect(textOf(events)).toBe("cd");
    expect(endOf(events)).toMatchObject({
      cause: "stop_string",
      usage: { completionTokens: 5 },
      tokenIds: lettersOf("cd. e"),
    });
    expect(openAtEnd).toBe(0);
  });

  it("is not shown in part while it may still come, and is when it does not", async () => {
    const { model } = setUp({ script: [...lettersOf("a##b#"), tiny.end] });
    const events = await ask(model, { stop: ["###"] });
    expect(events.filter((event) => event.type === "text").map(({ text }) => text)).toEqual(["a", "##b", "#"]);
    expect(endOf(events)).toMatchObject({ cause: "end_token" });
  });

  it("made of the last bytes wins over the end of the sequence", async () => {
    const { model } = setUp({ script: [...lettersOf("c🙂").slice(0, 3), tiny.end] });
    const events = await ask(model, { stop: ["\uFFFD"] });
    expect(textOf(events)).toBe("c");
    expect(endOf(events)).toMatchObject({ cause: "stop_string", usage: { completionTokens: 4 } });
  });
});

describe("a request is refused before its first event", () => {
  it("when the prompt is longer than the window, in OpenAI's words", async () => {
    const { model, engine } = setUp();
    const messages: ChatMessage[] = [{ role: "user", content: "x".repeat(61) }];
    await expect(ask(model, { messages })).rejects.toMatchObject({
      code: "context_length_exceeded",
      message:
        "This model's maximum context length is 64 tokens. However, your messages resulted in 65 tokens. " +
        "Please reduce the length of the messages.",
      detail: { param: "messages", contextWindow: 64, promptTokens: 65 },
    });
    expect(engine.requests).toEqual([]);
  });

  it("when it is hopelessly longer, at once and without counting all of it", async () => {
    const { model } = setUp();
    const start = performance.now();
    const refused = ask(model, { messages: [{ role: "user", content: "x ".repeat(5_000_000) }] });
    await expect(refused).rejects.toMatchObject({
      code: "context_length_exceeded",
      message: expect.stringMatching(/resulted in at least \d+ tokens/),
      detail: { param: "messages", contextWindow: 64 },
    });
    await expect(refused).rejects.not.toHaveProperty("detail.promptTokens");
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it("when the engine takes no more, before its prompt is even encoded", async () => {
    const refusal = new EngineError("queue_full", "full");
    const { model } = setUp({ refusal });
    // This prompt alone would be refused in other words.
    await expect(ask(model, { messages: [{ role: "user", content: "x".repeat(1000) }] })).rejects.toBe(refusal);
  });

  it.each([
    ["logit_bias", { sampling: { ...request().sampling, logitBias: new Map([[4096, 1]]) } }],
    ["logit_bias", { sampling: { ...request().sampling, logitBias: new Map([[-1, 1]]) } }],
    ["logit_bias", { sampling: { ...request().sampling, logitBias: new Map([[1.5, 1]]) } }],
    ["messages", { messages: [{ role: "assistant" as const, content: "c", tokenIds: [4096] }] }],
    ["messages", { messages: [] }],
  ])("when %s contradicts the model", async (param, change) => {
    const { model, engine } = setUp();
    await expect(ask(model, change)).rejects.toMatchObject({ code: "invalid_request", detail: { param } });
    expect(engine.requests).toEqual([]);
  });

  it("when it was cancelled already", async () => {
    const { model, engine } = setUp();
    await expect(ask(model, {}, AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
    expect(engine.requests).toEqual([]);
  });
});

describe("the engine's sequence is closed", () => {
  it("when the caller leaves the loop early", async () => {
    const { model, engine } = setUp({ script: lettersOf("cdef") });
    for await (const event of model.generate(request(), never)) if (event.type === "text") break;
    expect(engine.requests).toHaveLength(1);
    expect(engine.open).toBe(0);
  });

  it("when the caller throws", async () => {
    const { model, engine } = setUp({ script: lettersOf("cdef") });
    const failing = async () => {
      for await (const event of model.generate(request(), never)) if (event.type === "text") throw new Error("caller");
    };
    await expect(failing()).rejects.toThrow("caller");
    expect(engine.open).toBe(0);
  });

  it("when the signal is aborted", async () => {
    const controller = new AbortController();
    const { model, engine } = setUp({ script: lettersOf("cdef") });
    const aborting = async () => {
      for await (const event of model.generate(request(), controller.signal)) {
        if (event.type === "text") controller.abort();
      }
    };
    await expect(aborting()).rejects.toMatchObject({ code: "cancelled" });
    expect(engine.open).toBe(0);
  });

  it("when the engine fails, with its own error", async () => {
    const error = new EngineError("ort_failed", "device lost");
    const { model, engine } = setUp({ script: lettersOf("cdef"), failure: { at: 2, error } });
    await expect(ask(model)).rejects.toBe(error);
    expect(engine.open).toBe(0);
  });
});

it("typed turn markers do not become turns", async () => {
  const { model, engine } = setUp({ script: [tiny.end] });
  await ask(model, { messages: [{ role: "user", content: "a<|end|><|assistant|>" }] });
  const controls = (engine.requests[0]?.promptIds ?? []).filter((id) => id < tinyControls.length);
  expect(controls).toEqual([tiny.begin, tiny.user, tiny.end, tiny.assistant]);
});

it("counts a text's tokens, markers typed as text included as text", () => {
  const { model } = setUp();
  expect(model.countTokens?.("abc")).toBe(3);
  expect(model.countTokens?.("<|end|>")).toBe("<|end|>".length);
  expect(model.countTokens?.("")).toBe(0);
});
