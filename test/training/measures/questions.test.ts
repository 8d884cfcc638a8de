import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { speaksAsAssistant } from "../../../training/measures/assistant-phrases.ts";
import { Openers } from "../../../training/measures/openers.ts";
import { isGenericQuestion, QuestionHabits } from "../../../training/measures/questions.ts";

describe("a question is generic when nothing in it tells what it is about", () => {
  it.each([
    "Can you tell me more?",
    "That's great, thank you!",
    "What else should I know?",
    "",
    "ok.",
    "Can you explain?",
  ])("%j", (question) => {
    expect(isGenericQuestion(question)).toBe(true);
  });
  it.each(["Can you tell me more about tigers?", "Why 42?", "¿Por qué?", "Write a poem"])("and not %j", (question) => {
    expect(isGenericQuestion(question)).toBe(false);
  });
});

describe("a user speaks as an assistant who", () => {
  it.each([
    "Hello! How can I help you today?",
    "As an AI language model, I cannot taste food.",
    "I'm just a virtual assistant, sorry.",
    "I’d be happy to assist with that.",
    "Is there anything else I can do for you?",
    "Do you need any further assistance?",
    "Let me know if you have other questions.",
    "Please feel free to ask.",
  ])("says %j", (text) => {
    expect(speaksAsAssistant(text)).toBe(true);
  });
  it.each([
    "Can you help me with my homework?",
    "What else can you do?",
    "I need help finding a restaurant.",
    "Let me know the price.",
    "Do you need my address?",
    "How do I assist a customer politely?",
    "Write a story about an AI that helps people.",
    "No, that's all I need. Thanks for your help!",
  ])("and not who says %j", (text) => {
    expect(speaksAsAssistant(text)).toBe(false);
  });
});

it("a question repeats when its dialogue, given turns included, asked it before in the same words", () => {
  const habits = new QuestionHabits();
  habits.add("a", ["Why?", "WHY? ", "How so?", "What is  rust?"], ["what is rust?"]);
  expect(habits.rates().verbatimRepeats).toEqual({ count: 2, of: 4, rate: 0.5 });
});

it("a question is asked elsewhere as often as it was asked, once a second dialogue asks it", () => {
  const habits = new QuestionHabits();
  habits.add("a", ["What is rust?", "What is rust?"], []);
  expect(habits.rates().questionsAskedElsewhere.count).toBe(0);
  habits.add("b", ["what is Rust?"], []);
  expect(habits.rates().questionsAskedElsewhere.count).toBe(3);
  habits.add("c", ["What is rust?", "And iron?"], []);
  expect(habits.rates().questionsAskedElsewhere).toEqual({ count: 4, of: 5, rate: 0.8 });
});

it("rates over nothing are null", () => {
  expect(new QuestionHabits().rates().genericQuestions).toEqual({ count: 0, of: 0, rate: null });
});

const diversityOf = (order: readonly number[]): { value: number | null; pairs: number } => {
  const openers = new Openers();
  for (const id of order) openers.sample(`dialogue ${id}`, `tell about ${id % 7} and ${id % 5}`, null);
  return openers.diversity();
};

describe("openers", () => {
  it("collide within a seed item, or within free mode, whatever their case and spacing", () => {
    const openers = new Openers();
    expect(openers.collide("Hello there", null)).toBe(false);
    expect(openers.collide("hello  THERE ", null)).toBe(true);
    expect(openers.collide("Hello there", "item 1")).toBe(false);
    expect(openers.collide("Hello there", "item 2")).toBe(false);
    expect(openers.collide("Hello there", "item 1")).toBe(true);
    expect(openers).toMatchObject({ collisions: 2, count: 5 });
  });

  it("of one seed item are as diverse as the mean Jaccard distance of their words", () => {
    const openers = new Openers();
    openers.sample("1", "red cars", "a");
    openers.sample("2", "red bikes", "a");
    openers.sample("3", "Blue cars!", "a");
    openers.sample("4", "blue sky", "b");
    const { value, pairs } = openers.diversity();
    expect(pairs).toBe(3);
    expect(value).toBeCloseTo((2 / 3 + 2 / 3 + 1) / 3, 12);
  });

  it("have no diversity without a pair", () => {
    const openers = new Openers();
    openers.sample("1", "red cars", "a");
    openers.sample("2", "red cars", "b");
    expect(openers.diversity()).toEqual({ value: null, pairs: 0 });
  });

  it("of a large group are sampled by the dialogues' ids, in whatever order these come", () => {
    const ids = Array.from({ length: 150 }, (_, index) => index);
    const expected = diversityOf(ids);
    expect(expected.pairs).toBe((64 * 63) / 2);
    fc.assert(
      fc.property(fc.shuffledSubarray(ids, { minLength: 150, maxLength: 150 }), (order) => {
        expect(diversityOf(order).value).toBeCloseTo(expected.value ?? Number.NaN, 9);
      }),
      { numRuns: 10 },
    );
  });
});
