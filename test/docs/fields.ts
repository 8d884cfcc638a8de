// Owns the tables of request fields: what each means, in words; which there are and which are refused is asked of the schemas.
// The compiler asks for words for every field.
import { chatCompletionSchema } from "../../server/openai/schema.ts";
import { type SamplingBody, type SelfplayBody, selfplaySchema } from "../../server/selfplay/schema.ts";
import { HANDED_ON } from "../../training/loop/loop-flags.ts";
import {
  type LoopBody,
  fieldOf,
  loopSchema,
  selfplayFields as loopSelfplayFields,
} from "../../server/loops/loop-schema.ts";
import { type TuningBody, tuningSchema } from "../../server/tuning/tuning-schema.ts";
import { code, markdownTable } from "./markdown.ts";

type ChatField = keyof typeof chatCompletionSchema.in.shape;

/** Words, or null for a field whose meaning is not served. */
const chatFields: Readonly<Record<ChatField, string | null>> = {
  model: "Id of a served model.",
  messages:
    "Roles `system`, `developer`, `user`, `assistant`; text, or an array of text parts. For a user model it may be empty: it then opens the conversation.",
  stream: "Server-sent events instead of one answer.",
  stream_options: "`include_usage`: a last chunk with the usage. With `stream` only.",
  n: "Choices, 1 to 128 (the server may allow fewer).",
  stop: "One string or up to 4, at which the reply ends.",
  max_tokens: "Most tokens to sample; without it, until the context window is full.",
  max_completion_tokens: "The same, and goes first.",
  temperature: "0 to 2, default 1; 0 always takes the likeliest token.",
  top_p: "0 to 1, default 1: draw from the likeliest tokens that make up this share.",
  top_k: "Draw from so many likeliest tokens; 0 or -1 (default) from all.",
  min_p: "0 to 1, default 0: leave out tokens less likely than this share of the likeliest.",
  presence_penalty: "-2 to 2, default 0.",
  frequency_penalty: "-2 to 2, default 0.",
  repetition_penalty: "Above 0 to 10, default 1.",
  logit_bias: "Token id → -100 to 100, added to the token's logit.",
  seed: "Whole number. Equal seeds give equal replies, whatever else runs beside; without it, a random one.",
  response_role:
    "`user` or `assistant`: the role a reply is returned under; default is the model's own (`assistant` unless its manifest says otherwise).",
  tools: null,
  tool_choice: null,
  functions: null,
  function_call: null,
  response_format: null,
  logprobs: null,
  top_logprobs: null,
  audio: null,
  modalities: null,
  prediction: null,
  web_search_options: null,
  reasoning_effort: null,
  verbosity: null,
};

const selfplayFields: Readonly<Record<keyof SelfplayBody, string>> = {
  user: "Id of the model that writes the user's turns; default `usergpt`.",
  assistant: "Id of the model that writes the assistant's turns; default `realm`.",
  messages:
    "Whole rounds the dialogue begins with, and before them at most one system message, which is the assistant's. Default none.",
  system: "`user`, `assistant`: what that side alone is told first.",
  seed: "Whole number. Equal seeds give equal dialogues; without it, a random one, which the answer names.",
  max_turns: "Most rounds, those of `messages` included, 1 to 1000. Without it the other rules end the dialogue.",
  sampling: "",
  simulator:
    "Who plays the user: `learned` (default; a user's model), or an assistant's model as `selfchat`, `roleplay` or `prequery`.",
  mode: "`free`, `seeded`, `intent` or `profile` for `learned`; `transcript` or `turnwise` for `selfchat`. The default follows from what the dialogue starts from.",
  prompt: "What the dialogue starts from: a question (`seeded`), an intent, a profile, or a topic.",
  guardrails:
    "What a question must hold to: `true`, or an object of `first_words`, `min_words`, `max_words`, `repeat`, `leak`, `empty`, `polite`, `redraws`. Default none.",
  stop: "Further rules: `end_token` (default `true`), `tokens`, `turns` (`min`, `max`), `judge` (`model`, `from_turn`, `retries`).",
  best_of: "Answers picked from `n` samples by `judge`, a model's id; `retries` of a judge that cannot be read.",
  stream: "Server-sent events: every token of both sides, the whole dialogue last.",
  format: "`openai` (default; `messages`) or `sharegpt` (`conversations` of `from` and `value`).",
  return_token_ids: "Adds the sampled token ids to every turn of `trace`.",
};

const tuningFields: Readonly<Record<keyof TuningBody, string | null>> = {
  model: "Id of a served model with a folder here; a fine-tuned one may be tuned further.",
  training_file: 'Id of a file with the purpose `fine-tune`: `{"messages": […]}`, one chat a line.',
  validation_file: "Another, to measure the loss with; the weights with the lowest are the result.",
  method:
    "`type` `supervised`, and under `supervised`: `hyperparameters` (`n_epochs`, `batch_size`, `learning_rate_multiplier`, each a number or `auto`) and, of our own, `lora` (`rank`, default 16; `alpha`, default twice the rank) to train adapters, which are merged into the result. `dpo` and `reinforcement` are refused.",
  hyperparameters: "The older place of the same.",
  suffix: "Part of the result's name: up to 64 letters, digits, `.`, `_` and `-`.",
  seed: "0 to 2147483647. Equal seeds, files and settings give equal weights on one machine; without it, a random one, which the answer names.",
  metadata: "Up to 16 texts of your own; jobs are listed by them (`metadata[key]=value`, `metadata=null`).",
  integrations: null,
  role: "Ours: whose turns are trained. The model's own role, and no other yet.",
};

const loopFields: Readonly<Record<keyof LoopBody, string>> = {
  rounds: "Rounds in all.",
  count: "Dialogues of a round.",
  user: "Who plays the user in the first round: the id of a served model with a folder here. Default: as in a self-play job.",
  assistant: "Who plays the assistant.",
  role: "Whose model is trained: `user`, `assistant` or `both` (default).",
  heldout_files:
    "Ids of uploads with the purpose `fine-tune`: human dialogues that no training saw, in any format that `npm run export` reads.",
  heldout_limit: "At most so many dialogues of each of them.",
  name: "In the ids of accepted models, `ft:MODEL:NAME-ROUND`: up to 40 letters, digits, `.`, `_` and `-`. Default: eight letters by chance.",
  seed: "Decides the dialogues, the order of examples and the intervals. Default 1.",
  max_turns: "Most rounds of a dialogue.",
  selfplay: "",
  filter:
    "What is kept: `stop_reasons`, `least_rounds` (2), `least_characters` (1), `most_characters`, `without` (names of rules to leave out).",
  gate: "What a model needs to be accepted: `rule` (`not-worse`, `better` or `any`), `margin` in bits a byte (0.01), `least_pairs` (20).",
  judge:
    "A judge of a trained assistant's answers beside its parent's, in both orders: `model`, the id of a served model (one elsewhere, say), and `questions` (20). Default none.",
  learn_end: "Whether the user model also learns to end dialogues that came to their end.",
  holdout: "Share of the kept dialogues that only chooses the best weights. Default 0.05.",
  training: "",
  metadata: "Up to 16 texts of your own.",
};

const samplingFields: Readonly<Record<keyof SamplingBody, true>> = {
  temperature: true,
  top_p: true,
  top_k: true,
  min_p: true,
  presence_penalty: true,
  frequency_penalty: true,
  repetition_penalty: true,
  max_tokens: true,
  max_completion_tokens: true,
  stop: true,
};

/** Fields of a chat completion; those that are refused stand in the last row. */
export function chatFieldsTable(): string {
  sameKeys(chatFields, chatCompletionSchema.in.shape);
  const served = Object.entries(chatFields).flatMap(([field, words]) => (words === null ? [] : [[code(field), words]]));
  const refused = Object.entries(chatFields).flatMap(([field, words]) => (words === null ? [code(field)] : []));
  return markdownTable(
    ["Field", "Meaning"],
    [
      ...served,
      [
        refused.join(", "),
        'Not served: 400 with `param`, unless the value asks for nothing (`tools: []`, `logprobs: false`, `response_format: {"type": "text"}` and the like).',
      ],
      ["any other", "Ignored, as OpenAI does."],
    ],
  );
}

/** Fields of a self-play request. */
export function selfplayFieldsTable(): string {
  sameKeys(selfplayFields, selfplaySchema.shape);
  const sampling = `\`user\`, \`assistant\`: for each side ${Object.keys(samplingFields).map(code).join(", ")}. Default is each model's own recommendation.`;
  const rows = Object.entries(selfplayFields).map(([field, words]) => [code(field), words || sampling]);
  return markdownTable(
    ["Field", "Meaning"],
    [...rows, ["any other", "400: a mistyped field would silently change the data."]],
  );
}

/** Fields of a request for a fine-tuning. */
export function tuningFieldsTable(): string {
  sameKeys(tuningFields, tuningSchema.shape);
  const served = Object.entries(tuningFields).flatMap(([field, words]) =>
    words === null ? [] : [[code(field), words]],
  );
  const refused = Object.entries(tuningFields).flatMap(([field, words]) => (words === null ? [code(field)] : []));
  return markdownTable(
    ["Field", "Meaning"],
    [...served, [refused.join(", "), "Not served: 400 with `param`."], ["any other", "Ignored, as OpenAI does."]],
  );
}

/** Fields of a request for a loop. */
export function loopFieldsTable(): string {
  sameKeys(loopFields, loopSchema.shape);
  const lists: Readonly<Record<string, string>> = {
    selfplay: `Further fields of the request for each round's [self-play job](jobs.md): ${codes(loopSelfplayFields)}.`,
    training: `Flags of \`npm run train\` with \`--recipe onnx\`: ${codes(Object.fromEntries(HANDED_ON.map((flag) => [fieldOf(flag), true])))}.`,
  };
  const rows = Object.entries(loopFields).map(([field, words]) => [code(field), words || (lists[field] ?? "")]);
  return markdownTable(
    ["Field", "Meaning"],
    [...rows, ["any other", "400: a mistyped field would silently change the data."]],
  );
}

const codes = (fields: object) => Object.keys(fields).map(code).join(", ");

function sameKeys(described: object, known: object): void {
  const names = Object.keys(known);
  const odd = [
    ...names.filter((name) => !(name in described)),
    ...Object.keys(described).filter((name) => !names.includes(name)),
  ];
  if (odd.length > 0) throw new Error(`Described and accepted fields differ in: ${odd.join(", ")}.`);
}
