import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fitInverseFrequencies,
  hashedGramEncoder,
  IDF_DIMENSIONS,
  type SentenceEncoder,
} from "../../../training/measures/encoder.ts";
import { inverseFrequencies } from "../../../training/measures/encoder-idf.ts";
import { TopicSpread } from "../../../training/measures/topic.ts";

/** Reads the vector out of the text, so that every cosine is known. */
const spelled: SentenceEncoder = {
  name: "spelled/1",
  dimensions: 3,
  encode(text) {
    const values = text.split(" ").map(Number);
    const norm = Math.hypot(...values);
    return Float32Array.from(values, (value) => (norm === 0 ? 0 : value / norm));
  },
};
const cosine = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

it("the running value is the mean of the whole matrix of cosines, with and without its diagonal", () => {
  const vector = fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 });
  const dialogue = fc.array(
    vector.filter((values) => values.some((value) => value !== 0)),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(fc.array(dialogue, { minLength: 2, maxLength: 8 }), (dialogues) => {
      const spread = new TopicSpread(spelled);
      for (const vectors of dialogues) spread.add(vectors.map((values) => values.join(" ")));
      const all = dialogues.flat().map((values) => spelled.encode(values.join(" ")));
      const cosines = all.map((a) => all.map((b) => cosine(a, b)));
      const pairs = cosines.flatMap((row, index) => row.filter((_, other) => other !== index));
      const { questions, meanCosine, meanCosineWithoutSelfPairs, diversity, encoder } = spread.snapshot();
      expect({ questions, encoder }).toEqual({ questions: all.length, encoder: "spelled/1" });
      expect(meanCosine).toBeCloseTo(mean(cosines.flat()), 5);
      expect(meanCosineWithoutSelfPairs).toBeCloseTo(mean(pairs), 5);
      expect(diversity).toBeCloseTo(1 - mean(cosines.flat()), 5);
    }),
  );
});

it("drift is taken between consecutive questions of one dialogue only", () => {
  const spread = new TopicSpread(spelled);
  spread.add(["1 0 0", "0 1 0", "0 1 0"]);
  spread.add(["0 0 1"]);
  expect(spread.snapshot().consecutiveCosine).toMatchObject({ n: 1, mean: 0.5 });
});

it("nothing asked is null, one question has no pair", () => {
  const spread = new TopicSpread(spelled);
  expect(spread.snapshot()).toMatchObject({ meanCosine: null, diversity: null, meanCosineWithoutSelfPairs: null });
  spread.add(["1 0 0"]);
  expect(spread.snapshot()).toMatchObject({ meanCosine: 1, diversity: 0, diversityWithoutSelfPairs: null });
});

describe("the built-in encoder", () => {
  const encoder = hashedGramEncoder();
  it("gives vectors of length 1, and zeros for a text without content", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const vector = encoder.encode(text);
        const length = Math.hypot(...vector);
        expect(length).toBeCloseTo(text.normalize("NFKC").trim() === "" ? 0 : 1, 5);
      }),
      { numRuns: 50 },
    );
  });

  it("puts questions on one subject closer together than questions on two", () => {
    const [bread, baking, python] = [
      "How do I bake sourdough bread at home?",
      "Which flour is best for baking bread?",
      "Explain list comprehensions in Python.",
    ].map((text) => encoder.encode(text));
    if (bread === undefined || baking === undefined || python === undefined)
      throw new Error("three texts, three vectors");
    expect(cosine(bread, baking)).toBeGreaterThan(2 * cosine(bread, python));
  });

  it("never changes under its name", () => {
    const vector = hashedGramEncoder().encode("How do I bake sourdough bread at home?");
    const filled = vector.filter((value) => value !== 0);
    expect(encoder.name).toBe("hashed-char-3-5-tfidf/1");
    expect(filled.length).toBe(110);
    expect(vector.reduce((sum, value, index) => sum + value * (index + 1), 0)).toBeCloseTo(21_359.83, 1);
  });

  it("weighs rare pieces of text above common ones", () => {
    const idf = fitInverseFrequencies(["the cat", "the dog", "the zebra"]);
    const plain = hashedGramEncoder(idf);
    const the = plain.encode("the");
    expect(idf.length).toBe(IDF_DIMENSIONS);
    expect(Math.min(...idf)).toBe(1);
    expect(cosine(plain.encode("the zebra"), the)).toBeLessThan(
      cosine(hashedGramEncoder(idf.map(() => 1)).encode("the zebra"), the),
    );
    expect(inverseFrequencies()).toHaveLength(IDF_DIMENSIONS);
  });
});
