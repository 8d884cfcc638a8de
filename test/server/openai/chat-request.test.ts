import { describe, expect, it } from "vitest";
import { createHarness, hello, readChunks, readCompletion, readError } from "../../support/app-harness.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const user = () => scriptedModel({ info: { id: "usergpt", role: "user" } });

/** The request that reaches the model. */
const asked = async (body: object) => {
  const model = scriptedModel();
  const response = await createHarness({ models: [model] }).chat(body);
  expect(response.status).toBe(200);
  const request = model.calls[0]?.request;
  if (request === undefined) throw new Error("the model was not asked");
  return request;
};

describe("a model of the user role", () => {
  const assistantLast = [...hello, { role: "assistant", content: "Hi! What do you need?" }];

  it.each([
    ["no messages", []],
    ["a system message alone", [{ role: "system", content: "You want to fly a kite." }]],
    ["a developer message alone", [{ role: "developer", content: "You want to fly a kite." }]],
  ])("opens the conversation on %s and must then speak", async (_, messages) => {
    const model = user();
    const response = await createHarness({ models: [model] }).chat({ model: "usergpt", messages });
    expect(response.status).toBe(200);
    expect(model.calls[0]?.request.mustSpeak).toBe(true);
  });

  it("answers the assistant's turn without having to speak, its reply under the role assistant", async () => {
    const model = user();
    const response = await createHarness({ models: [model] }).chat({ model: "usergpt", messages: assistantLast });
    expect((await readCompletion(response)).choices[0]?.message.role).toBe("assistant");
    expect(model.calls[0]?.request.mustSpeak).toBe(false);
    expect(model.calls[0]?.request.messages).toEqual(assistantLast);
  });

  it("returns the role that the request or else the model names", async () => {
    const model = scriptedModel({ info: { id: "usergpt", role: "user", responseRole: "user" } });
    const { chat } = createHarness({ models: [model] });
    const roleOf = async (body: object) =>
      (await readCompletion(await chat({ model: "usergpt", messages: [], ...body }))).choices[0]?.message.role;
    expect(await roleOf({})).toBe("user");
    expect(await roleOf({ response_role: "assistant" })).toBe("assistant");
    const [first] = await readChunks(await chat({ model: "usergpt", messages: [], stream: true }));
    expect(first).toMatchObject({ choices: [{ delta: { role: "user" } }] });
  });

  it.each([
    ["the user's", hello],
    ["the user's, before a system message", [...hello, { role: "system", content: "Be brief." }]],
  ])("refuses messages whose last turn is %s", async (_, messages) => {
    const { chat } = createHarness({ models: [user()] });
    const { status, error } = await readError(await chat({ model: "usergpt", messages }));
    expect(status).toBe(400);
    expect(error.param).toBe("messages");
    expect(error.message).toMatch(/last message must be the assistant's/);
  });

  it("says nothing and ends the conversation as an empty content with our extension", async () => {
    const model = scriptedModel({
      info: { id: "usergpt", role: "user" },
      reply: { pieces: [], cause: "end_of_conversation" },
    });
    const body = await readCompletion(
      await createHarness({ models: [model] }).chat({ model: "usergpt", messages: assistantLast }),
    );
    expect(body.choices[0]).toMatchObject({
      message: { content: "" },
      finish_reason: "stop",
      realchat: { end_of_conversation: true },
    });
  });
});

describe("what a model is asked", () => {
  it("is OpenAI's defaults, all off, and a seed of its own", async () => {
    const { sampling, ...rest } = await asked({});
    expect(rest).toEqual({ messages: hello, choiceIndex: 0, maxTokens: null, stop: [], mustSpeak: false });
    expect(sampling).toEqual({
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
      seed: expect.any(Number),
    });
    expect(Number.isSafeInteger(sampling.seed)).toBe(true);
    expect((await asked({})).sampling.seed).not.toBe(sampling.seed);
  });

  it("is every field as given", async () => {
    const { sampling, maxTokens, stop } = await asked({
      temperature: 0.5,
      top_p: 0.25,
      top_k: 12,
      min_p: 0.125,
      presence_penalty: -2,
      frequency_penalty: 2,
      repetition_penalty: 1.5,
      logit_bias: { "0": -100, "99": 100 },
      seed: -3,
      max_tokens: 5,
      stop: ["a", "", "b"],
    });
    expect(sampling).toEqual({
      temperature: 0.5,
      topP: 0.25,
      topK: 12,
      minP: 0.125,
      presencePenalty: -2,
      frequencyPenalty: 2,
      repetitionPenalty: 1.5,
      logitBias: new Map([
        [0, -100],
        [99, 100],
      ]),
      seed: -3,
    });
    expect(maxTokens).toBe(5);
    expect(stop).toEqual(["a", "b"]);
  });

  it("is max_completion_tokens where max_tokens is given too", async () => {
    expect((await asked({ max_tokens: 5, max_completion_tokens: 9 })).maxTokens).toBe(9);
  });

  it("is text parts joined by lines, and developer messages as system messages", async () => {
    const { messages } = await asked({
      messages: [
        {
          role: "developer",
          content: [
            { type: "text", text: "one" },
            { type: "text", text: "two" },
          ],
        },
        { role: "user", content: "three", name: "Ann" },
      ],
    });
    expect(messages).toEqual([
      { role: "system", content: "one\ntwo" },
      { role: "user", content: "three" },
    ]);
  });

  it("is unchanged by fields that ask for nothing, that are ignored, or that nobody knows", async () => {
    const harmless = {
      tools: [],
      tool_choice: "none",
      functions: [],
      function_call: "auto",
      response_format: { type: "text" },
      logprobs: false,
      top_logprobs: 0,
      audio: null,
      modalities: ["text"],
      prediction: null,
      web_search_options: null,
      reasoning_effort: null,
      temperature: null,
      n: null,
      stop: null,
      stream: null,
      stream_options: null,
      seed: 1,
      max_tokens: null,
      logit_bias: null,
      user: "u-1",
      metadata: { a: "b" },
      store: true,
      service_tier: "auto",
      parallel_tool_calls: true,
      of_no_meaning: { deep: [1, 2, 3] },
    };
    expect(await asked(harmless)).toEqual(await asked({ seed: 1 }));
  });
});
