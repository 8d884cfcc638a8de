import { describe, expect, it } from "vitest";
import { createHarness, hello, readError } from "../../support/app-harness.ts";

const refused = (param: string) => [param, "unsupported_parameter"] as const;
const message = (over: object) => ({ messages: [...hello, { role: "user", content: "x", ...over }] });

/** body, param, code */
const cases: readonly (readonly [object, string, string | null])[] = [
  [{ model: undefined }, "model", "missing_required_parameter"],
  [{ model: null }, "model", "invalid_type"],
  [{ messages: undefined }, "messages", "missing_required_parameter"],
  [{ messages: null }, "messages", "invalid_type"],
  [{ messages: "Hello" }, "messages", "invalid_type"],
  [{ messages: {} }, "messages", "invalid_type"],
  [{ messages: [] }, "messages", "empty_array"],
  [{ messages: [1] }, "messages[0]", "invalid_type"],
  [message({ role: undefined }), "messages[1].role", "missing_required_parameter"],
  [message({ role: "tool" }), "messages[1].role", "invalid_value"],
  [message({ role: "function" }), "messages[1].role", "invalid_value"],
  [message({ content: undefined }), "messages[1].content", "missing_required_parameter"],
  [message({ content: null }), "messages[1].content", "invalid_type"],
  [message({ content: 7 }), "messages[1].content", "invalid_type"],
  [message({ content: [] }), "messages[1].content", "empty_array"],
  [message({ content: ["x"] }), "messages[1].content[0]", "invalid_type"],
  [message({ content: [{ type: "text" }] }), "messages[1].content[0].text", "missing_required_parameter"],
  [
    message({
      content: [
        { type: "text", text: "a" },
        { type: "image_url", image_url: { url: "x" } },
      ],
    }),
    "messages[1].content[1].type",
    "invalid_value",
  ],
  [message({ content: "half \ud83d" }), "messages[1].content", "invalid_value"],
  [message({ tool_calls: [{}] }), ...refused("messages[1].tool_calls")],
  [{ n: 0 }, "n", "integer_below_min_value"],
  [{ n: 129 }, "n", "integer_above_max_value"],
  [{ n: 1.5 }, "n", "invalid_type"],
  [{ n: "2" }, "n", "invalid_type"],
  [{ temperature: -0.1 }, "temperature", "decimal_below_min_value"],
  [{ temperature: 3 }, "temperature", "decimal_above_max_value"],
  [{ temperature: "hot" }, "temperature", "invalid_type"],
  [{ top_p: 1.01 }, "top_p", "decimal_above_max_value"],
  [{ top_k: -2 }, "top_k", "integer_below_min_value"],
  [{ min_p: 2 }, "min_p", "decimal_above_max_value"],
  [{ presence_penalty: 2.5 }, "presence_penalty", "decimal_above_max_value"],
  [{ frequency_penalty: -2.5 }, "frequency_penalty", "decimal_below_min_value"],
  [{ repetition_penalty: 0 }, "repetition_penalty", "decimal_below_min_value"],
  [{ max_tokens: 0 }, "max_tokens", "integer_below_min_value"],
  [{ max_completion_tokens: 1e300 }, "max_completion_tokens", "integer_above_max_value"],
  [{ seed: 2 ** 53 }, "seed", "integer_above_max_value"],
  [{ seed: 0.5 }, "seed", "invalid_type"],
  [{ stop: ["a", "b", "c", "d", "e"] }, "stop", "array_above_max_length"],
  [{ stop: [1] }, "stop[0]", "invalid_type"],
  [{ stop: 1 }, "stop", "invalid_type"],
  [{ stop: "\udc00" }, "stop", "invalid_value"],
  [{ stream: "yes" }, "stream", "invalid_type"],
  [{ stream_options: { include_usage: true } }, "stream_options", null],
  [{ stream: false, stream_options: {} }, "stream_options", null],
  [{ stream: true, stream_options: 1 }, "stream_options", "invalid_type"],
  [{ stream: true, stream_options: { include_usage: 1 } }, "stream_options.include_usage", "invalid_type"],
  [{ response_role: "system" }, "response_role", "invalid_value"],
  [{ logit_bias: [] }, "logit_bias", "invalid_type"],
  [{ logit_bias: { the: 1 } }, "logit_bias.the", "invalid_value"],
  [{ logit_bias: { "-1": 1 } }, "logit_bias.-1", "invalid_value"],
  [{ logit_bias: { "100": 1 } }, "logit_bias.100", "invalid_value"],
  [{ logit_bias: { "5": 101 } }, "logit_bias.5", "invalid_value"],
  [{ logit_bias: { "5": "1" } }, "logit_bias.5", "invalid_value"],
  [{ tools: [{ type: "function" }] }, ...refused("tools")],
  [{ tool_choice: "required" }, ...refused("tool_choice")],
  [{ functions: [{}] }, ...refused("functions")],
  [{ function_call: { name: "f" } }, ...refused("function_call")],
  [{ response_format: { type: "json_object" } }, ...refused("response_format")],
  [{ response_format: "text" }, ...refused("response_format")],
  [{ logprobs: true }, ...refused("logprobs")],
  [{ top_logprobs: 5 }, ...refused("top_logprobs")],
  [{ audio: { voice: "v" } }, ...refused("audio")],
  [{ modalities: ["text", "audio"] }, ...refused("modalities")],
  [{ prediction: {} }, ...refused("prediction")],
  [{ web_search_options: {} }, ...refused("web_search_options")],
  [{ reasoning_effort: "high" }, ...refused("reasoning_effort")],
];

describe("a faulty field is answered with 400, its place and OpenAI's code", () => {
  it.each(cases)("%j → %s", async (body, param, code) => {
    const { chat } = createHarness();
    const { status, error } = await readError(await chat(body));
    expect({ status, type: error.type, param: error.param, code: error.code }).toEqual({
      status: 400,
      type: "invalid_request_error",
      param,
      code,
    });
    // A person must be able to find the field from the message alone.
    expect(error.message).toContain(param.split(/[[.]/).at(-1)?.replace(/\]$/, ""));
  });
});

it("n above the configured limit names the limit", async () => {
  const { chat } = createHarness({ config: { maxChoices: 4 } });
  expect((await chat({ n: 4 })).status).toBe(200);
  const { error } = await readError(await chat({ n: 5 }));
  expect(error).toMatchObject({ param: "n", code: "integer_above_max_value" });
  expect(error.message).toContain("at most 4");
});

it("a field that would be taken from the prototype is not", async () => {
  const { send } = createHarness();
  const body = `{"model":"realm","messages":${JSON.stringify(hello)},"__proto__":{"stream":true,"n":1e9}}`;
  const response = await send("POST", "/v1/chat/completions", body, { "content-type": "application/json" });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/json/);
});

it("a million faults are answered as fast as one", async () => {
  const { chat } = createHarness();
  const startMs = performance.now();
  for (const messages of [
    Array.from({ length: 1e6 }, () => 1),
    [{ role: "user", content: Array.from({ length: 1e6 }, () => 1) }],
  ]) {
    expect((await chat({ messages })).status).toBe(400);
  }
  expect(performance.now() - startMs).toBeLessThan(3000);
});
