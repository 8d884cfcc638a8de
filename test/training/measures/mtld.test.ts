import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mtldOfText, WordIds } from "../../../training/measures/mtld.ts";
import { richnessWords } from "../../../training/measures/words.ts";

const recorded = JSON.parse(
  readFileSync(new URL("../../fixtures/quality/mtld.json", import.meta.url), "utf8"),
) as readonly (readonly [text: string, mtld: number | null])[];

describe("the MTLD of a text is LexicalRichness 0.5.1's to the last bit", () => {
  it.each([
    ["only unique terms in this little string", 7],
    ["the cat sat on the mat", 10.080000000000004],
    ["a a", 2],
    ["Hello", 1],
    ["123 - 456", null],
    ["TEST text with some text numbers 42, hyphen-here, and text punctuations.", 14.000000000000004],
    ["Don't stop — don't 2 stop, e-mail me!", 8],
  ])("%s", (text, expected) => {
    expect(mtldOfText(text)).toBe(expected);
  });

  it.each([
    [
      "What is the difference between a list and a tuple in Python, and when should I use a list instead of a tuple?",
      23.843333333333334,
    ],
    [
      "Write me a short story about a dragon. The dragon should be a small dragon, and the dragon should live in a " +
        "small house near the sea.",
      18.878048780487802,
    ],
  ])("%s", (text, expected) => {
    expect(mtldOfText(text)).toBe(expected);
  });

  it("for 311 recorded texts", () => {
    expect(recorded.length).toBe(311);
    expect(recorded.filter(([text, mtld]) => !Object.is(mtldOfText(text), mtld))).toEqual([]);
  });
});

it("words are split where Python splits them, and nowhere else", () => {
  expect(richnessWords("a\u001Cb\u0085c\u00A0d\u3000e \uFEFFf")).toEqual(["a", "b", "c", "d", "e", "\uFEFFf"]);
  expect(richnessWords("“It’s” (it's) e-mail 4x4 — ok_then")).toEqual([
    "“it’s”",
    "it",
    "s",
    "email",
    "x",
    "ok",
    "then",
  ]);
});

it("a text that comes in pieces has the MTLD of the whole", () => {
  const word = fc.constantFrom("a", "b", "c", "dog", "house", "tree", "sea");
  fc.assert(
    fc.property(fc.array(fc.array(word)), (pieces) => {
      const ids = new WordIds();
      for (const piece of pieces) ids.push(piece);
      expect(ids.mtld()).toBe(mtldOfText(pieces.flat().join(" ")));
      expect(ids.length).toBe(pieces.flat().length);
    }),
  );
});
