// What a self-play request may say, what it means when it says nothing, and how each fault is named.
import { expect, test } from "vitest";
import type { ModelCatalog } from "../../../server/model-catalog.ts";
import { ApiError } from "../../../server/openai/error.ts";
import { validate } from "../../../server/openai/validation.ts";
import type { DialogueRequest } from "../../../server/selfplay/dialogue-types.ts";
import { toDialogueRequest } from "../../../server/selfplay/request.ts";
import { selfplaySchema } from "../../../server/selfplay/schema.ts";
import { catalogOf } from "./play.ts";
import { SpellingModel } from "./spelling-model.ts";

const user = new SpellingModel("user", []);
const assistant = new SpellingModel("assistant", []);
const catalog: ModelCatalog = catalogOf(user, assistant);

const read = (body: unknown): DialogueRequest => toDialogueRequest(validate(selfplaySchema, body), catalog, "dlg_1");

function fault(body: unknown): ApiError {
  try {
    read(body);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("The request was accepted.");
}

test("an empty request is a free dialogue of the embedded pair with each model's own sampling", () => {
  const request = read({});
  expect(request).toMatchObject({ id: "dlg_1", dialogueIndex: 0, seedRounds: [], maxTurns: null });
  const sampling = {
    temperature: 0.7,
    topP: 0.9,
    topK: 40,
    minP: 0.05,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
  };
  expect(request.user).toEqual({ model: user, system: null, sampling, maxTokens: 512, stop: [] });
  expect(request.assistant).toEqual({ model: assistant, system: null, sampling, maxTokens: null, stop: [] });
});

test("null means the same as nothing", () => {
  const nothing = { user: null, assistant: null, messages: null, system: null, max_turns: null, sampling: null };
  expect({ ...read({ ...nothing, seed: 1, format: null, stream: null }) }).toEqual({ ...read({ seed: 1 }) });
});

test("a request without a seed gets a random one, and a given one is used", () => {
  expect(read({}).seed).not.toBe(read({}).seed);
  expect(read({ seed: -3 }).seed).toBe(-3);
});

test("sampling of one side overrides that side alone", () => {
  const request = read({
    sampling: {
      user: { temperature: 1.5, top_p: 0.5, top_k: -1, min_p: 0, presence_penalty: 1, max_tokens: 9, stop: "\n" },
      assistant: {
        frequency_penalty: -1,
        repetition_penalty: 1.2,
        max_tokens: 9,
        max_completion_tokens: 8,
        stop: ["a", "", "b"],
      },
    },
  });
  expect(request.user).toMatchObject({
    sampling: { temperature: 1.5, topP: 0.5, topK: 0, minP: 0, presencePenalty: 1, frequencyPenalty: 0 },
    maxTokens: 9,
    stop: ["\n"],
  });
  expect(request.assistant).toMatchObject({
    sampling: { temperature: 0.7, topK: 40, presencePenalty: 0, frequencyPenalty: -1, repetitionPenalty: 1.2 },
    maxTokens: 8,
    stop: ["a", "b"],
  });
});

const round = [
  { role: "user", content: "q" },
  { role: "assistant", content: "a" },
];

test("messages are rounds of a seed; a leading system message is the assistant's", () => {
  expect(read({ messages: round })).toMatchObject({ seedRounds: [{ user: "q", assistant: "a" }] });
  const request = read({ messages: [{ role: "system", content: "Be brief." }, ...round, ...round] });
  expect(request.seedRounds).toHaveLength(2);
  expect([request.user.system, request.assistant.system]).toEqual([null, "Be brief."]);
  const told = read({ system: { user: "You want a house.", assistant: "Be brief." } });
  expect([told.user.system, told.assistant.system]).toEqual(["You want a house.", "Be brief."]);
});

const faults: readonly [
  rule: string,
  body: unknown,
  status: number,
  param: string | null,
  code: string | null,
  says: RegExp,
][] = [
  ["a body that is no object", [], 400, null, "invalid_type", /expected an object/],
  ["an unknown user model", { user: "nobody" }, 404, "user", "model_not_found", /`nobody` does not exist/],
  [
    "an unknown assistant model",
    { assistant: "nobody" },
    404,
    "assistant",
    "model_not_found",
    /`nobody` does not exist/,
  ],
  ["an assistant as the user", { user: "realm" }, 400, "user", "invalid_value", /`realm` writes the assistant's turns/],
  [
    "a user as the assistant",
    { assistant: "usergpt" },
    400,
    "assistant",
    "invalid_value",
    /`usergpt` writes the user's turns/,
  ],
  ["a model id of another type", { user: 3 }, 400, "user", "invalid_type", /expected a string/],
  ["an unknown format", { format: "alpaca" }, 400, "format", "invalid_value", /'openai', 'sharegpt'/],
  ["no round at all", { max_turns: 0 }, 400, "max_turns", "integer_below_min_value", />= 1/],
  ["endless rounds", { max_turns: 1001 }, 400, "max_turns", "integer_above_max_value", /<= 1000/],
  ["half a round more", { max_turns: 1.5 }, 400, "max_turns", "invalid_type", /expected an integer/],
  [
    "fewer rounds than the seed",
    { messages: round, max_turns: 1 },
    400,
    "max_turns",
    "invalid_value",
    /holds 1 round already/,
  ],
  ["half a round", { messages: round.slice(0, 1) }, 400, "messages", "invalid_value", /whole rounds/],
  [
    "a seed that the assistant begins",
    { messages: round.toReversed() },
    400,
    "messages[0].role",
    "invalid_value",
    /expected 'user'/,
  ],
  [
    "two questions in a row",
    { messages: [round[0], round[0]] },
    400,
    "messages[1].role",
    "invalid_value",
    /expected 'assistant'/,
  ],
  [
    "a late system message",
    { messages: [...round, { role: "system", content: "x" }] },
    400,
    "messages[2].role",
    "invalid_value",
    /only be the first/,
  ],
  [
    "an empty seed turn",
    { messages: [round[0], { role: "assistant", content: " " }] },
    400,
    "messages[1].content",
    "invalid_value",
    /may not be empty/,
  ],
  [
    "an unknown role",
    { messages: [{ role: "human", content: "x" }] },
    400,
    "messages[0].role",
    "invalid_value",
    /'human'/,
  ],
  [
    "two system messages for one side",
    { messages: [{ role: "system", content: "x" }], system: { assistant: "y" } },
    400,
    "system.assistant",
    "invalid_value",
    /only one/,
  ],
  ["half a character", { system: { user: "\ud800" } }, 400, "system.user", "invalid_value", /surrogate/],
  [
    "a hot user",
    { sampling: { user: { temperature: 2.5 } } },
    400,
    "sampling.user.temperature",
    "decimal_above_max_value",
    /<= 2/,
  ],
  [
    "no tokens",
    { sampling: { assistant: { max_tokens: 0 } } },
    400,
    "sampling.assistant.max_tokens",
    "integer_below_min_value",
    />= 1/,
  ],
  [
    "a seed of one side",
    { sampling: { user: { seed: 1 } } },
    400,
    "sampling.user.seed",
    "unknown_parameter",
    /Unknown parameter: 'seed'/,
  ],
  ["a third side", { sampling: { judge: {} } }, 400, "sampling.judge", "unknown_parameter", /user, assistant/],
  ["a mistyped field", { max_turn: 3 }, 400, "max_turn", "unknown_parameter", /max_turns/],
  ["a seed beyond exact numbers", { seed: 2 ** 53 }, 400, "seed", "integer_above_max_value", /'seed'/],
];

test.each(faults)("%s is refused by name", (_, body, status, param, code, says) => {
  const error = fault(body);
  expect(error.status).toBe(status);
  expect(error.body).toMatchObject({ type: "invalid_request_error", param, code });
  expect(error.body.message).toMatch(says);
});
