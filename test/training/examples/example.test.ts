import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage, ModelRole } from "../../../runtime/chat-model.ts";
import type { Conversation } from "../../../training/conversation.ts";
import { type Example, makeExample } from "../../../training/examples/example.ts";
import { type ModelText, openModelText } from "../../../training/examples/model-text.ts";
import { anyConversation, conversation } from "../../support/conversations.ts";
import { MODELS_FOLDER } from "../../support/engine.ts";
import { writeModelFolder } from "../../support/model-folder.ts";
import { lettersOf, tiny, tinyTokenizer } from "../../support/tokenizers.ts";

const never = new AbortController().signal;
const o = -100;
let scratch = "";
let models: Record<ModelRole, ModelText>;
let platolm: ModelText;

// As the paper writes it: no line between turns, and `<s>` belongs to the opening of a role.
const platolmTemplate =
  "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] + '\n\n' }}{% else %}" +
  "{{ ('Human: ' if m['role'] == 'user' else 'Assistant: ') + '<|begin|>' + m['content'] + '<|end|>' }}{% endif %}" +
  "{% endfor %}{% if add_generation_prompt %}{{ 'Human: <|begin|>' }}{% endif %}";

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "examples-"));
  const user = await openModelText(await writeModelFolder(join(scratch, "user")));
  const assistant = await openModelText(await writeModelFolder(join(scratch, "assistant"), { role: "assistant" }));
  models = { user, assistant };
  const files = { "chat_template.jinja": platolmTemplate };
  platolm = await openModelText(await writeModelFolder(join(scratch, "platolm"), { files }));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

interface Wishes {
  readonly model?: ModelText;
  readonly maxTokens?: number;
  readonly isLearningEnd?: boolean;
}

async function resultOf(given: Conversation, role: ModelRole, wishes: Wishes = {}) {
  const { model = models[role], maxTokens = 4096, isLearningEnd = false } = wishes;
  return makeExample(given, model, { role, maxTokens, isLearningEnd }, never);
}

async function exampleOf(given: Conversation, role: ModelRole, wishes: Wishes = {}): Promise<Example> {
  const result = await resultOf(given, role, wishes);
  if (result.kind !== "example") throw new Error(`There is no example: ${JSON.stringify(result)}`);
  return result.example;
}

describe("labels cover what the model samples in serving, with the token that ends the turn:", () => {
  const dialogue = conversation(["ab", "c", "d", "e"]);

  it("a user's words, not the marker that opens its turn, and nothing behind its last one", async () => {
    const { inputIds, labels, keptUtterances } = await exampleOf(dialogue, "user");
    const [a, b, c, d] = lettersOf("abcd") as [number, number, number, number];
    expect(inputIds).toEqual([
      tiny.begin, tiny.user, a, b, tiny.end, tiny.assistant, c, tiny.end, tiny.user, d, tiny.end,
    ]); // prettier-ignore
    expect(labels).toEqual([o, o, a, b, tiny.end, o, o, o, o, d, tiny.end]);
    expect(keptUtterances).toBe(3);
  });

  it("an assistant's", async () => {
    const { labels } = await exampleOf(dialogue, "assistant");
    const [c, e] = lettersOf("ce");
    expect(labels).toEqual([o, o, o, o, o, o, c, tiny.end, o, o, o, o, e, tiny.end]);
  });

  it("not the <s> of the paper's role opening, which the generation prompt writes", async () => {
    const { inputIds, labels } = await exampleOf(conversation(["b", "c"]), "user", { model: platolm });
    const [b] = lettersOf("b");
    expect(inputIds.slice(-3)).toEqual([tiny.begin, b, tiny.end]);
    expect(labels.slice(-3)).toEqual([o, b, tiny.end]);
  });

  it("no turn that is context, and no end that was not sampled", async () => {
    const [d] = lettersOf("d");
    const seeded = conversation([{ content: "a", isContext: true }, "c", "d", "e"]);
    expect((await exampleOf(seeded, "user")).labels).toEqual([o, o, o, o, o, o, o, o, d, tiny.end]);
    const cut = conversation(["a", "c", { content: "d", cause: "max_tokens" }, "e"]);
    const { labels } = await exampleOf(cut, "user");
    expect(labels.at(-1)).toBe(d);
  });

  it("the other role's turns of a model whose template opens one only", async () => {
    const { inputIds, labels } = await exampleOf(dialogue, "assistant", { model: models.user });
    const own = await exampleOf(dialogue, "assistant");
    expect([inputIds, labels]).toEqual([own.inputIds, own.labels]);
  });
});

describe("a user learns to end a conversation", () => {
  const dialogue = conversation(["a", "c"]);

  it("with the token that serving samples behind the whole of it, where that is wished", async () => {
    const { inputIds, labels, spans, keptUtterances } = await exampleOf(dialogue, "user", { isLearningEnd: true });
    expect(inputIds.slice(-4)).toEqual([...lettersOf("c"), tiny.end, tiny.user, tiny.bye]);
    expect(labels.slice(-4)).toEqual([o, o, o, tiny.bye]);
    expect(spans.at(-1)).toEqual({ utterance: null, start: 8, end: 9, isTrained: true });
    expect(keptUtterances).toBe(2);
  });

  it("not from one that was cut off, nor as an assistant, nor where the token does not fit", async () => {
    const open = conversation(["a", "c"], { isComplete: false });
    expect((await exampleOf(open, "user", { isLearningEnd: true })).inputIds).not.toContain(tiny.bye);
    expect((await exampleOf(dialogue, "assistant", { isLearningEnd: true })).inputIds).not.toContain(tiny.bye);
    const tight = await exampleOf(dialogue, "user", { isLearningEnd: true, maxTokens: 8 });
    expect([tight.inputIds.at(-1), tight.cutTurns]).toEqual([tiny.end, 1]);
  });
});

describe("sampled ids", () => {
  it("stand where they are ids of the text, and are what serving has in its past", async () => {
    const sampled = lettersOf("hi");
    const { inputIds, retokenizedTurns } = await exampleOf(
      conversation([{ content: "hi", tokenIds: sampled }, "c"]),
      "user",
    );
    expect(inputIds.slice(2, 4)).toEqual(sampled);
    expect(retokenizedTurns).toBe(0);
  });

  it("of another text or tokenizer give way to the text, which is counted", async () => {
    const [hi] = tinyTokenizer().encode([{ type: "plain", text: "hi" }]);
    for (const tokenIds of [lettersOf("ho"), [99_999], [...lettersOf("hi"), tiny.bye]]) {
      const { inputIds, retokenizedTurns } = await exampleOf(conversation([{ content: "hi", tokenIds }, "c"]), "user");
      expect(inputIds[2]).toBe(hi);
      expect(retokenizedTurns).toBe(1);
    }
  });
});

describe("nothing is left out without a word:", () => {
  const dialogue = conversation(["aa", "c", "dd", "e", "ff"]);

  it("turns that do not fit are cut at the end of a turn, and counted", async () => {
    const whole = await exampleOf(dialogue, "user");
    for (let maxTokens = 5; maxTokens <= whole.inputIds.length; maxTokens++) {
      const { inputIds, cutTurns, spans } = await exampleOf(dialogue, "user", { maxTokens });
      expect(inputIds).toEqual(whole.inputIds.slice(0, inputIds.length));
      expect(inputIds.length).toBeLessThanOrEqual(maxTokens);
      expect(inputIds.at(-1)).toBe(tiny.end);
      expect(cutTurns + spans.length).toBe(3);
    }
  });

  it("a conversation without a turn of the role, or without one that fits, says which", async () => {
    expect(await resultOf(dialogue, "user", { maxTokens: 4 })).toEqual({ kind: "untrained", reason: "too_long" });
    const greeting = conversation(["a"], { first: "assistant" });
    expect(await resultOf(greeting, "user")).toEqual({ kind: "untrained", reason: "no_turn" });
    // Nothing could have asked for it.
    expect(await resultOf(greeting, "assistant")).toEqual({ kind: "untrained", reason: "no_turn" });
  });

  it("what a template refuses, in its words", async () => {
    const files = {
      "chat_template.jinja": "{% if messages|length > 2 %}{{ raise_exception('too many') }}{% endif %}x",
    };
    const model = await openModelText(await writeModelFolder(join(scratch, "strict"), { files }));
    const result = await resultOf(dialogue, "user", { model });
    expect(result).toMatchObject({ kind: "refused", reason: expect.stringContaining("too many") });
  });

  it("a template that changes the past once more is said is refused, not trained on", async () => {
    const source =
      "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + ('' if loop.last else '~') + '<|end|>' }}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '<|user|>' }}{% endif %}";
    const files = { "chat_template.jinja": source };
    const model = await openModelText(await writeModelFolder(join(scratch, "changing"), { files }));
    expect(await resultOf(dialogue, "user", { model })).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("changes the turn of message"),
    });
  });
});

const messagesBefore = (given: Conversation, role: ModelRole, index: number, example: Example): ChatMessage[] => {
  const told = given.system[role];
  const system: ChatMessage[] = told === null ? [] : [{ role: "system", content: told }];
  const past = given.utterances.slice(0, index).map((said, at): ChatMessage => {
    const span = example.spans.find(({ utterance }) => utterance === at);
    if (span === undefined) return { role: said.role, content: said.content };
    return { role: said.role, content: said.content, tokenIds: example.inputIds.slice(span.start, span.end - 1) };
  });
  return [...system, ...past];
};

/** What is wrong with an example's spans. */
async function faultsOf(given: Conversation, role: ModelRole, model: ModelText): Promise<string[]> {
  const result = await resultOf(given, role, { model, isLearningEnd: true });
  if (result.kind === "refused") return [result.reason];
  if (result.kind === "untrained") return result.reason === "no_turn" ? [] : [result.reason];
  const { example } = result;
  const { tokenizer, template, stopIds } = model;
  const faults: string[] = [];
  let covered = 0;
  for (const { utterance, start, end, isTrained } of example.spans) {
    const before = messagesBefore(given, role, utterance ?? given.utterances.length, example);
    const prompt = tokenizer.encode(template.render(before, role).pieces);
    const own = example.inputIds.slice(start, end);
    const expected = isTrained ? own : own.map(() => o);
    if (example.inputIds.slice(0, start).join() !== prompt.join()) faults.push("the prompt differs");
    if (example.labels.slice(start, end).join() !== expected.join()) faults.push("the labels differ");
    if (!stopIds.includes(own.at(-1) ?? -1)) faults.push("no end");
    if (own.slice(0, -1).some((id) => tokenizer.controlIds.has(id))) faults.push("a control token in a turn");
    covered += isTrained ? end - start : 0;
  }
  if (example.labels.filter((label) => label !== o).length !== covered) faults.push("labels outside the turns");
  return faults;
}

describe("for any dialogue and either role", () => {
  const controls = new Set<number>(Object.values(tiny));

  it("the ids before a trained turn are the prompt that serving gives, and no typed text became a control token", async () => {
    await fc.assert(
      fc.asyncProperty(anyConversation(), fc.constantFrom<ModelRole[]>("user", "assistant"), async (given, role) => {
        expect(await faultsOf(given, role, models[role])).toEqual([]);
        expect(role === "user" ? await faultsOf(given, role, platolm) : []).toEqual([]);
        const result = await resultOf(given, role);
        const { inputIds, keptUtterances } =
          result.kind === "example" ? result.example : { inputIds: [tiny.begin], keptUtterances: 0 };
        const hasSystem = keptUtterances > 0 && given.system[role] !== null;
        const markers = inputIds.filter((id) => controls.has(id)).length;
        expect(markers).toBe(1 + 2 * (keptUtterances + (hasSystem ? 1 : 0)));
      }),
      { numRuns: 150 },
    );
  });

  it("also with the models that are served here", async () => {
    const usergpt = await openModelText(join(MODELS_FOLDER, "usergpt"));
    const realm = await openModelText(join(MODELS_FOLDER, "realm"));
    const extra = usergpt.tokenizer.controlTokens;
    await fc.assert(
      fc.asyncProperty(anyConversation(extra), async (given) => {
        expect(await faultsOf(given, "user", usergpt)).toEqual([]);
        expect(await faultsOf(given, "assistant", realm)).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

/** Messages rendered and pieces of text encoded for one example of so many turns. */
async function workOf(turns: number): Promise<{ messages: number; characters: number }> {
  const { template, tokenizer, ...model } = models.user;
  const work = { messages: 0, characters: 0 };
  const count = (pieces: Parameters<typeof tokenizer.encode>[0]) => {
    for (const piece of pieces) work.characters += piece.type === "ids" ? piece.ids.length : piece.text.length;
    return pieces;
  };
  const counted: ModelText = {
    ...model,
    template: {
      ...template,
      render(messages, writeAs) {
        work.messages += messages.length;
        return template.render(messages, writeAs);
      },
    },
    tokenizer: {
      ...tokenizer,
      encode: (pieces) => tokenizer.encode(count(pieces)),
      encodeWithin: (pieces, maxTokens, signal) => tokenizer.encodeWithin(count(pieces), maxTokens, signal),
    },
  };
  const given = conversation(Array.from({ length: turns }, () => "hi you ok"));
  await exampleOf(given, "user", { model: counted, maxTokens: 1_000_000 });
  return work;
}

it("long dialogues cost in proportion to their length", async () => {
  const short = await workOf(100);
  const long = await workOf(1600);
  // 16 times as much; quadratic work would be 256 times.
  expect(long.messages / short.messages).toBeLessThan(20);
  expect(long.characters / short.characters).toBeLessThan(20);
});
