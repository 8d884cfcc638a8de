// The JSON of a dialogue, golden in both formats, and of its events.
import { expect, test } from "vitest";
import type { Dialogue } from "../../../server/selfplay/dialogue-types.ts";
import { turnSeed } from "../../../server/selfplay/seeds.ts";
import { toWireDialogue, toWireEvent } from "../../../server/selfplay/wire.ts";
import { dialogueRequest, play, playWell, sideSetup } from "./play.ts";
import { SpellingModel } from "./spelling-model.ts";

const options = { format: "openai", createdAtS: 1_700_000_000, hasTokenIds: false } as const;

const seed = (turn: number, role: "user" | "assistant") => turnSeed(7, { dialogueIndex: 0, turn, role });
const usage = (prompt: number, completion: number, cached: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  cached_tokens: cached,
  prefilled_tokens: prompt - cached,
});

async function seededDialogue(): Promise<Dialogue> {
  const user = new SpellingModel("user", ["b", ""]);
  const assistant = new SpellingModel("assistant", ["c"]);
  const seedRounds = [{ user: "q", assistant: "a" }];
  const changes = { seedRounds, assistant: sideSetup(assistant, { system: "S", maxTokens: 5, stop: ["!"] }) };
  return playWell(dialogueRequest(user, assistant, changes));
}

test("a dialogue as JSON says what was said, why it ended, what it cost and how to have it again", async () => {
  const sampling = {
    temperature: 0.7,
    top_p: 1,
    top_k: 0,
    min_p: 0,
    presence_penalty: 0,
    frequency_penalty: 0,
    repetition_penalty: 1,
  };
  expect(toWireDialogue(await seededDialogue(), options)).toEqual({
    id: "dlg_test",
    object: "selfplay.dialogue",
    created: 1_700_000_000,
    messages: [
      { role: "system", content: "S" },
      { role: "user", content: "q" },
      { role: "assistant", content: "a" },
      { role: "user", content: "b" },
      { role: "assistant", content: "c" },
    ],
    stop_reason: "empty_turn",
    stopped_by: "user",
    turns: 2,
    usage: {
      user: { prompt_tokens: 22, completion_tokens: 3, total_tokens: 25, cached_tokens: 9, prefilled_tokens: 13 },
      assistant: { prompt_tokens: 14, completion_tokens: 2, total_tokens: 16, cached_tokens: 0, prefilled_tokens: 14 },
    },
    seed: 7,
    models: {
      user: {
        id: "usergpt",
        model_hash: "model-hash-user",
        template_hash: "template-hash-user",
        precision: "float32",
        device: "cpu",
        context_window: 1000,
      },
      assistant: {
        id: "realm",
        model_hash: "model-hash-assistant",
        template_hash: "template-hash-assistant",
        precision: "float32",
        device: "cpu",
        context_window: 1000,
      },
    },
    system: { user: null, assistant: "S" },
    sampling: {
      user: { ...sampling, max_tokens: null, stop: [] },
      assistant: { ...sampling, max_tokens: 5, stop: ["!"] },
    },
    trace: [
      { role: "user", turn: 1, cause: "seed" },
      { role: "assistant", turn: 1, cause: "seed" },
      { role: "user", turn: 2, cause: "end_token", seed: seed(2, "user"), usage: usage(8, 2, 0) },
      { role: "assistant", turn: 2, cause: "end_token", seed: seed(2, "assistant"), usage: usage(14, 2, 0) },
    ],
    discarded: [
      { role: "user", turn: 3, cause: "end_token", seed: seed(3, "user"), usage: usage(14, 1, 9), content: "" },
    ],
  });
});

test("sharegpt gives the same dialogue as conversations of system, human and gpt", async () => {
  const { conversations, ...rest } = toWireDialogue(await seededDialogue(), { ...options, format: "sharegpt" });
  const { messages: _, ...others } = toWireDialogue(await seededDialogue(), options);
  expect(conversations).toEqual([
    { from: "system", value: "S" },
    { from: "human", value: "q" },
    { from: "gpt", value: "a" },
    { from: "human", value: "b" },
    { from: "gpt", value: "c" },
  ]);
  expect(rest).toEqual(others);
});

test("sampled ids are given when asked for", async () => {
  const { trace } = toWireDialogue(await seededDialogue(), { ...options, hasTokenIds: true });
  expect(trace).toMatchObject([{}, {}, { token_ids: [0x200062] }, { token_ids: [0x200063] }]);
});

test("a stream's events carry id, role and turn, and the last is the dialogue itself", async () => {
  const user = new SpellingModel("user", ["b", ""]);
  const { events, dialogue } = await play(dialogueRequest(user, new SpellingModel("assistant", ["c"])));
  const told = events.map((event) => toWireEvent("dlg_test", event, options));
  const head = { object: "selfplay.dialogue.event", id: "dlg_test", role: "user", turn: 1 };
  expect(told.slice(0, 3)).toEqual([
    { ...head, type: "turn_start" },
    { ...head, type: "token", text: "b" },
    {
      ...head,
      type: "turn_end",
      content: "b",
      cause: "end_token",
      seed: turnSeed(7, { dialogueIndex: 0, turn: 1, role: "user" }),
      usage: { prompt_tokens: 2, completion_tokens: 2, cached_tokens: 0, prefilled_tokens: 2 },
    },
  ]);
  expect(told.at(-2)).toEqual({ ...head, type: "turn_discarded", turn: 2 });
  expect(dialogue && told.at(-1)).toEqual(dialogue && toWireDialogue(dialogue, options));
});
