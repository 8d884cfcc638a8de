// Holds that what is split fits the window as the model's own tokenizer and template count it.
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { readManifest } from "../../../runtime/manifest.ts";
import { readTextSide, type TextSide } from "../../../runtime/text-side.ts";
import type { Conversation, Utterance } from "../../../training/conversation.ts";
import { splitConversation } from "../../../training/split/split-conversation.ts";
import { createTokenCounter } from "../../../training/split/token-counter.ts";
import { MODELS_FOLDER } from "../../support/engine.ts";

let side: TextSide;

beforeAll(async () => {
  const folder = join(MODELS_FOLDER, "usergpt");
  side = await readTextSide(folder, await readManifest(folder));
});

const text = fc.oneof(
  fc.lorem({ maxCount: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.constantFrom("", "<|end|>", "<|user|> <|assistant|>", "naïve 😀 中文"),
);
const anyConversation = fc.record({
  texts: fc.array(text, { maxLength: 12 }),
  system: fc.option(fc.lorem()),
  startsWithUser: fc.boolean(),
});

function conversationOf({
  texts,
  system,
  startsWithUser,
}: typeof anyConversation extends fc.Arbitrary<infer T> ? T : never): Conversation {
  return {
    id: "s",
    group: "g",
    origin: { file: "f", row: 1 },
    system: { user: system, assistant: null },
    utterances: texts.map((content, index) => ({
      role: (index % 2 === 0) === startsWithUser ? "user" : "assistant",
      content,
    })),
    isComplete: true,
    provenance: {},
  };
}

function renderedTokens({ system, utterances }: Conversation): number {
  const before = system.user === null ? [] : [{ role: "system", content: system.user } as const];
  return side.tokenizer.encode(side.template.render([...before, ...utterances]).pieces).length;
}

it("no segment's rendering is longer than the window, and the bound never undercounts", () => {
  const counter = createTokenCounter(side);
  fc.assert(
    fc.property(anyConversation, fc.integer({ min: 30, max: 400 }), (drawn, maxTokens) => {
      const conversation = conversationOf(drawn);
      for (const utterance of conversation.utterances) {
        expect(counter.countAtMost(utterance)).toBeGreaterThanOrEqual(counter.count(utterance));
      }
      const { segments } = splitConversation(conversation, counter, { rule: "fit", maxTokens, role: "user" });
      for (const segment of segments) expect(renderedTokens(segment)).toBeLessThanOrEqual(maxTokens);
    }),
    { numRuns: 60 },
  );
});

it("counts what rendering has, to the token", () => {
  const counter = createTokenCounter(side);
  fc.assert(
    fc.property(anyConversation, (drawn) => {
      const conversation = conversationOf(drawn);
      const sum = conversation.utterances.reduce((total, utterance) => total + counter.count(utterance), 0);
      expect(counter.frame(conversation.system.user) + sum).toBe(renderedTokens(conversation));
    }),
    { numRuns: 60 },
  );
});

it("cuts alike whether the bound or the tokenizer counts", () => {
  const counter = createTokenCounter(side);
  fc.assert(
    fc.property(
      anyConversation,
      fc.integer({ min: 30, max: 400 }),
      fc.constantFrom("fit" as const, "paper" as const),
      (drawn, maxTokens, rule) => {
        const options = { rule, maxTokens, role: "user" } as const;
        const exact = { ...counter, countAtMost: (utterance: Utterance) => counter.count(utterance) };
        const conversation = conversationOf(drawn);
        expect(splitConversation(conversation, counter, options)).toEqual(
          splitConversation(conversation, exact, options),
        );
      },
    ),
    { numRuns: 60 },
  );
});

it("sampled ids count as they are, and only a session's end can be complete", () => {
  const counter = createTokenCounter(side);
  const drawn = conversationOf({ texts: ["a", "b", "c", "d"], system: null, startsWithUser: true });
  const utterances = drawn.utterances.map((turn, at) => (at === 1 ? { ...turn, tokenIds: Array(50).fill(100) } : turn));
  const session = { ...drawn, utterances };
  const { segments } = splitConversation(session, counter, { rule: "fit", maxTokens: 61, role: "user" });
  expect(segments.map(({ id, group, isComplete }) => [id, group, isComplete])).toEqual([
    ["s_0", "g", false],
    ["s_1", "g", true],
  ]);
});
