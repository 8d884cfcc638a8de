import { describe, expect, it } from "vitest";
import type { ChatMessage } from "../../../runtime/chat-model.ts";
import { toRequestBody } from "../../../server/upstream/request-body.ts";
import { plainSampling, requestOf, settingsOf } from "./ask.ts";

const url = "https://far.example/v1";
const bodyOf = (over: object, request: Parameters<typeof requestOf>[0] = {}) =>
  toRequestBody(settingsOf(url, over), requestOf(request));

describe("fields", () => {
  it("a plain request holds nothing but what every endpoint knows", () => {
    expect(bodyOf({})).toEqual({
      model: "far-1",
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
      stream_options: { include_usage: true },
      seed: 7,
    });
  });

  it("what differs from OpenAI's defaults is sent under OpenAI's names", () => {
    const sampling = {
      ...plainSampling,
      temperature: 0,
      topP: 0.5,
      presencePenalty: 1,
      frequencyPenalty: -1,
      logitBias: new Map([[5, -100]]),
    };
    expect(bodyOf({}, { sampling, stop: ["END"], maxTokens: 9 })).toMatchObject({
      temperature: 0,
      top_p: 0.5,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { 5: -100 },
      stop: ["END"],
      max_completion_tokens: 9,
    });
    expect(bodyOf({ maxTokensField: "max_tokens" }, { maxTokens: 9 })).toMatchObject({ max_tokens: 9 });
  });

  it("extensions are sent where they are configured, and refused by name where not", () => {
    const sampling = { ...plainSampling, topK: 40, minP: 0.1, repetitionPenalty: 1.1 };
    const sent = { top_k: 40, min_p: 0.1, repetition_penalty: 1.1 };
    expect(bodyOf({ extensions: true }, { sampling })).toMatchObject(sent);
    expect(() => bodyOf({}, { sampling })).toThrow("the upstream of `far` does not take 'top_k'");
    expect(Object.keys(bodyOf({ extensions: true }))).not.toEqual(expect.arrayContaining(Object.keys(sent)));
  });

  it.each([
    ["temperature", { sampling: { ...plainSampling, temperature: 0 } }],
    ["stop", { stop: ["x"] }],
    ["max_tokens", { maxTokens: 3 }],
  ])("an omitted %s is refused when it is asked for, and nothing otherwise", (field, request) => {
    expect(() => bodyOf({ omit: [field] }, request)).toThrow("does not take");
    expect(bodyOf({ omit: [field] })).toEqual(bodyOf({}));
  });

  it("an omitted seed is dropped, since everybody brings one", () => {
    expect(bodyOf({ omit: ["seed", "stream_options"] })).toEqual({
      model: "far-1",
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
    });
  });

  it("choices of one request have seeds of their own, all of them safe integers", () => {
    const seeds = [0, 1, 2].map((choiceIndex) => bodyOf({}, { choiceIndex }) as { seed?: number });
    expect(new Set(seeds.map(({ seed }) => seed)).size).toBe(3);
    const sampling = { ...plainSampling, seed: Number.MAX_SAFE_INTEGER };
    const { seed } = bodyOf({}, { sampling, choiceIndex: 2 }) as { seed?: number };
    expect(Number.isSafeInteger(seed)).toBe(true);
  });

  it("ids of tokens stay here", () => {
    const messages: ChatMessage[] = [
      { role: "user", content: "a" },
      { role: "assistant", content: "b", tokenIds: [1, 2] },
      { role: "user", content: "c" },
    ];
    expect(JSON.stringify(bodyOf({}, { messages }))).not.toContain("tokenIds");
  });
});

const dialogue: readonly ChatMessage[] = [
  { role: "system", content: "You want pizza." },
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello, what can I do?" },
];

const rolesOf = (messages: readonly ChatMessage[], over: object = {}) =>
  bodyOf({ role: "user", ...over }, { messages }).messages.map(({ role, content }) => [role, content]);

describe("a model that writes the user's turns", () => {
  it("is shown natural roles where the endpoint knows them, and none at all for an opener", () => {
    expect(rolesOf(dialogue, { userMode: "natural" })).toEqual(dialogue.map(({ role, content }) => [role, content]));
    expect(rolesOf([], { userMode: "natural" })).toEqual([]);
  });

  it("is otherwise shown the roles swapped, behind an instruction, its own, and the opener", () => {
    const [system, ...turns] = rolesOf(dialogue);
    expect(system).toEqual(["system", expect.stringMatching(/^You play the human user[\s\S]*\n\nYou want pizza\.$/)]);
    expect(turns).toEqual([
      ["user", "[start]"],
      ["assistant", "Hi"],
      ["user", "Hello, what can I do?"],
    ]);
  });

  it("opens with the opener alone, and needs none where the assistant began", () => {
    expect(rolesOf([]).slice(1)).toEqual([["user", "[start]"]]);
    expect(rolesOf([{ role: "assistant", content: "Welcome!" }]).slice(1)).toEqual([["user", "Welcome!"]]);
  });
});

it("an assistant without a message to answer is refused", () => {
  expect(() => bodyOf({}, { messages: [] })).toThrow("at least one message");
});
