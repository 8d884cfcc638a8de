import { describe, expect, it } from "vitest";
import { errorBody, type FakeAnswer, refuses, says, startFakeUpstream, streams } from "../../support/fake-upstream.ts";
import { ask, openUpstream } from "./ask.ts";

const well = says(["fine"]);
const overflow = (message: string) => refuses(400, errorBody(message));
const dialects: readonly (readonly [string, FakeAnswer, number | undefined, number | undefined])[] = [
  [
    "OpenAI",
    refuses(
      400,
      errorBody(
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 4144 tokens. Please reduce the length of the messages.",
        "context_length_exceeded",
      ),
    ),
    4144,
    4097,
  ],
  [
    "vLLM",
    refuses(400, {
      object: "error",
      message:
        "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens (2900 in the messages, 100 in the completion). Please reduce the length of the messages or completion.",
      type: "BadRequestError",
      param: null,
      code: 400,
    }),
    3000,
    2048,
  ],
  [
    "vLLM, wrapped",
    overflow(
      "'max_tokens' is too large: 500. This model's maximum context length is 2048 tokens and your request has 1800 input tokens",
    ),
    1800,
    2048,
  ],
  [
    "vLLM, early",
    overflow("The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    5000,
    4096,
  ],
  [
    "llama.cpp",
    refuses(400, {
      error: {
        code: 400,
        message: "the request exceeds the available context size, try increasing it",
        type: "exceed_context_size_error",
        n_prompt_tokens: 700,
        n_ctx: 512,
      },
    }),
    700,
    512,
  ],
  [
    "llama.cpp, of old",
    refuses(500, {
      error: {
        code: 500,
        message: "the request exceeds the available context size. try increasing the context size",
        type: "server_error",
      },
    }),
    undefined,
    undefined,
  ],
  [
    "SGLang",
    refuses(400, {
      object: "error",
      message: "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
      type: "BadRequestError",
      param: null,
      code: 400,
    }),
    9000,
    8192,
  ],
  [
    "TGI",
    refuses(422, {
      error:
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`",
      error_type: "validation",
    }),
    undefined,
    4096,
  ],
  [
    "TGI, prompt alone",
    refuses(422, {
      error: "Input validation error: `inputs` must have less than 1024 tokens. Given: 1700",
      error_type: "validation",
    }),
    1700,
    1024,
  ],
  [
    "Mistral",
    refuses(400, {
      object: "error",
      message: "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
      type: "invalid_request_error",
      code: 3051,
    }),
    40_000,
    32_768,
  ],
  [
    "Gemini",
    refuses(400, [
      {
        error: {
          code: 400,
          message: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
          status: "INVALID_ARGUMENT",
        },
      },
    ]),
    1_200_000,
    1_048_576,
  ],
  ["Anthropic", overflow("prompt is too long: 210000 tokens > 200000 maximum"), 210_000, 200_000],
  [
    "Cohere",
    overflow("too many tokens: total number of tokens in the prompt cannot exceed 4081"),
    undefined,
    undefined,
  ],
  [
    "LM Studio, with 200",
    refuses(200, { error: "The number of tokens to keep from the initial prompt is greater than the context length." }),
    undefined,
    undefined,
  ],
  [
    "LM Studio, within a stream",
    streams(
      'event: error\ndata: {"error":{"message":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens."}}\n\n',
    ),
    5000,
    4096,
  ],
  ["413", refuses(413, errorBody("Your input exceeds the context window of this model.")), undefined, undefined],
];

describe("a context overflow is understood, told with its figures, and never tried again:", () => {
  it.each(dialects)("%s", async (_, answer, promptTokens, contextWindow) => {
    const upstream = await startFakeUpstream(answer, well);
    const { model } = openUpstream(upstream.url);
    const { error } = await ask(model);
    expect(error?.code).toBe("context_length_exceeded");
    expect([error?.detail.promptTokens, error?.detail.contextWindow]).toEqual([promptTokens, contextWindow]);
    expect(upstream.requests).toHaveLength(1);
  });

  it.each([
    "This model does not support context caching.",
    "Invalid 'messages': context is missing.",
    "max_tokens must be at most 4096",
  ])("not everything that mentions one is: %s", async (message) => {
    const { model } = openUpstream((await startFakeUpstream(refuses(400, errorBody(message)))).url);
    const { error } = await ask(model);
    expect(error).toMatchObject({ code: "invalid_request", message: expect.stringContaining(message) });
  });
});
