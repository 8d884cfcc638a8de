import fc from "fast-check";
import { expect, it } from "vitest";
import { rememberWords } from "../../../runtime/text/word-ids.ts";

const ids = (word: string) => Array.from(word, (letter) => letter.codePointAt(0) ?? 0);

it("remembered words have the ids that they had, in whatever order they come, in however little room", () => {
  const words = fc.array(fc.constantFrom("", "a", "the", "house", "x".repeat(65), "\ud800", "\ud83d\ude00", "straße"));
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 4 }), (asked, generation) => {
      const remembered = rememberWords(ids, generation);
      for (const word of asked) expect(remembered(word)).toEqual(ids(word));
    }),
  );
});

it("a word that comes again and again is worked out once, others between it forgotten", () => {
  let made = 0;
  const remembered = rememberWords((word) => [(made += 1), word.length], 8);
  const first = remembered("the");
  for (let step = 0; step < 100; step += 1) {
    remembered(`name${step}`);
    expect(remembered("the")).toBe(first);
  }
  expect(made).toBe(101);
  remembered("name0");
  expect(made).toBe(102);
});
