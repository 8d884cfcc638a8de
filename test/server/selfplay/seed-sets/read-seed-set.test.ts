// Reading files of seeds: each format's rules, and every broken row told by its number.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readSeedSet } from "../../../../server/selfplay/seed-sets/read-seed-set.ts";
import type { SeedFormat } from "../../../../server/selfplay/seed-sets/seed-set.ts";

const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/seed-sets/${name}`, import.meta.url), "utf8");
const lines = (...rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join("\n");
const seeds = (text: string, format: SeedFormat) =>
  readSeedSet(text, format).items.map(({ prompt, answer }) => [prompt, answer]);
const say = (...values: readonly [string, string][]) => values.map(([from, value]) => ({ from, value }));

test("published prompts are read as they are", () => {
  const { items, rows, brokenCount } = readSeedSet(fixture("oasst-prompts.jsonl"), "plain");
  expect([items.length, rows, brokenCount]).toEqual([8, 8, 0]);
  expect(items[0]).toEqual({
    id: "ml-02",
    row: 1,
    category: null,
    prompt: "I'm sad. How can I be happy?",
    answer: null,
  });
});

test("published conversations: Evol-Instruct's rule keeps those of two utterances, ShareGPT's the first segment", () => {
  const text = fixture("fastchat-dummy-conversation.jsonl");
  const wizard = readSeedSet(text, "wizardlm");
  expect(wizard.items.map(({ id }) => id)).toEqual(["identity_1", "identity_4", "identity_7"]);
  expect(wizard.dropped).toEqual({ not_two_utterances: 5 });
  const sharegpt = readSeedSet(text, "sharegpt");
  expect(sharegpt.items.map(({ id, prompt }) => [id, prompt])).toEqual([["identity_0", "Who are you?"]]);
  expect(sharegpt.dropped).toEqual({ later_segment: 7 });
});

test.each([
  ["closed_qa", "This is a closed qa task.\nWho?\nBob came."],
  ["summarization", "This is a summarization task.\nWho?\nBob came."],
  ["information_extraction", "This is a information extraction task.\nWho?\nBob came."],
  ["open_qa", "Who?\nBob came."],
])("Dolly, %s: the question is task, instruction and context where the task needs naming", (category, prompt) => {
  const row = { instruction: "Who?", context: "Bob came.", response: "Bob.", category };
  expect(readSeedSet(lines(row), "dolly").items).toEqual([{ id: "1", row: 1, category, prompt, answer: null }]);
});

test("Dolly: an empty context adds no line", () => {
  expect(seeds(lines({ instruction: "Who?", context: "", category: "open_qa" }), "dolly")).toEqual([["Who?", null]]);
});

test("Evol-Instruct: rows from Alpaca, with other than two utterances, or empty are left out and counted", () => {
  const text = lines(
    { idx: "alpaca_7", conversations: say(["human", "a"], ["gpt", "b"]) },
    { idx: "w1", conversations: say(["human", "a"], ["gpt", "b"]) },
    { idx: "w2", conversations: say(["human", "a"]) },
    { idx: "w3", conversations: say(["human", "a"], ["gpt", "b"], ["human", "c"]) },
    { idx: "w4", conversations: say(["human", " "], ["gpt", "b"]) },
    { idx: "w5", conversations: say(["human", "a"], ["gpt", ""]) },
  );
  const { items, dropped } = readSeedSet(text, "wizardlm");
  expect(items.map(({ id, row }) => [id, row])).toEqual([["w1", 2]]);
  expect(dropped).toEqual({ alpaca: 1, not_two_utterances: 2, empty: 2 });
});

test("WizardLM's test set: the skill is the category", () => {
  const row = { idx: 3, Skill: "Math", Difficulty: 1, Instruction: "1 + 1?" };
  expect(readSeedSet(lines(row), "wizardlm").items).toEqual([
    { id: "3", row: 1, category: "Math", prompt: "1 + 1?", answer: null },
  ]);
});

test("Self-Instruct: instruction and input are the question, the first instance's output the answer", () => {
  const row = {
    id: "seed_task_1",
    name: "x",
    instruction: "Compare.",
    instances: [
      { input: "day : night", output: "Opposites." },
      { input: "", output: "?" },
    ],
    is_classification: false,
  };
  expect(readSeedSet(lines(row), "self-instruct").items).toEqual([
    { id: "seed_task_1", row: 1, category: "generation", prompt: "Compare.\nday : night", answer: "Opposites." },
  ]);
});

test("ShareGPT: the first round of first segments that a human opens", () => {
  const text = lines(
    { id: "a_0", conversations: say(["system", "s"], ["human", "q"], ["gpt", "r"], ["human", "q2"]) },
    { id: "a_12", conversations: say(["human", "q"], ["gpt", "r"]) },
    { id: "b_0", conversations: say(["gpt", "r"], ["human", "q"]) },
    { id: "c", conversations: say(["human", "q"], ["human", "q2"], ["gpt", "r"]) },
    { id: "d", conversations: say(["human", "q"]) },
    { id: "e", conversations: [] },
  );
  const { items, dropped } = readSeedSet(text, "sharegpt");
  expect(items.map(({ id, prompt, answer }) => [id, prompt, answer])).toEqual([["a_0", "q", "r"]]);
  expect(dropped).toEqual({ later_segment: 1, opens_with_assistant: 1, not_two_utterances: 3 });
});

test("plain prompts may be lines of text, JSON strings or objects, in one file, with or without a BOM and carriage returns", () => {
  const text =
    '\uFEFFWhat is tea?\r\n\r\n"How: \\"hot\\"?"\r\n{"prompt": "Why?", "answer": "So.", "category": "x"}\r\n[1] is this a row?';
  expect(readSeedSet(text, "plain").items).toEqual([
    { id: "1", row: 1, category: null, prompt: "What is tea?", answer: null },
    { id: "3", row: 3, category: null, prompt: 'How: "hot"?', answer: null },
    { id: "4", row: 4, category: "x", prompt: "Why?", answer: "So." },
    { id: "5", row: 5, category: null, prompt: "[1] is this a row?", answer: null },
  ]);
});

test("a JSON array holds the same rows as lines do", () => {
  const rows = [{ prompt: "a" }, { prompt: "b", id: "x" }];
  expect(readSeedSet(JSON.stringify(rows, null, 2), "plain").items).toEqual(readSeedSet(lines(...rows), "plain").items);
});

test.each([
  ["plain", '{"prompt": ', "is not JSON."],
  ["plain", '{"promt": "a"}', "'prompt' is missing."],
  ["plain", '{"prompt": 3}', "'prompt' must be a string."],
  ["plain", '{"prompt": "\\ud800"}', "'prompt' holds an unpaired surrogate."],
  ["dolly", '"text"', "must be a JSON object."],
  ["dolly", '{"instruction": "a"}', "'category' is missing."],
  ["wizardlm", '{"idx": "w"}', "'conversations' must be an array."],
  ["sharegpt", '{"conversations": [3]}', "'conversations[0]' must be an object."],
  ["sharegpt", '{"conversations": [{"from": "human"}]}', "'conversations[0].value' is missing."],
  [
    "sharegpt",
    '{"conversations": [{"from": "cat", "value": ""}]}',
    "'conversations[0].from' is 'cat', which is no speaker's name.",
  ],
  [
    "self-instruct",
    '{"instruction": "a", "instances": []}',
    "'instances' must be an array with at least one instance.",
  ],
  ["self-instruct", '{"instruction": "a", "instances": [{}]}', "'instances[0].output' is missing."],
] as const)("%s: the broken row %j is told with its number, and the good ones are kept", (format, row, reason) => {
  const good: Record<SeedFormat, unknown> = {
    plain: { prompt: "a" },
    dolly: { instruction: "a", category: "open_qa" },
    wizardlm: { conversations: say(["human", "a"], ["gpt", "b"]) },
    sharegpt: { conversations: say(["human", "a"], ["gpt", "b"]) },
    "self-instruct": { instruction: "a", instances: [{ input: "", output: "b" }] },
  };
  const set = readSeedSet([lines(good[format]), "", row, lines(good[format])].join("\n"), format);
  expect(set.broken).toEqual([{ row: 3, reason }]);
  expect(set.items.map((item) => item.row)).toEqual([1, 4]);
});

test("of very many broken rows all are counted and the first are told", () => {
  const set = readSeedSet("{\n".repeat(1000), "plain");
  expect([set.rows, set.brokenCount, set.broken.length]).toEqual([1000, 1000, 100]);
});

test("no text whatsoever throws, and every row is an item, dropped or broken", () => {
  const formats = ["plain", "dolly", "wizardlm", "self-instruct", "sharegpt"] as const;
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.json()).map((rows) => rows.join("\n")),
  );
  fc.assert(
    fc.property(text, fc.constantFrom(...formats), (content, format) => {
      const { items, rows, brokenCount, dropped } = readSeedSet(content, format);
      const droppedCount = Object.values(dropped).reduce((sum, count) => sum + count, 0);
      expect(items.length + brokenCount + droppedCount).toBe(rows);
    }),
  );
});
