import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxUnitsPerToken } from "../../../runtime/text/token-coverage.ts";
import { byteAlphabet } from "../../../runtime/text/token-bytes.ts";
import { createTokenizer } from "../../../runtime/text/tokenizer.ts";
import { parseTokenizerJson } from "../../../runtime/text/tokenizer-json.ts";
import { goldenJson, goldenTokenizers, tinyTokenizerJson } from "../../support/tokenizers.ts";

const golden = goldenTokenizers.map(
  (name) => [name, goldenJson(`${name}/tokenizer.json`) as Record<string, unknown>] as const,
);
const normalized = ["NFC", "NFD", "NFKC", "NFKD"].map(
  (type) => [type, { ...tinyTokenizerJson(), normalizer: { type } }] as const,
);
// One token for each byte, or for each character: nothing but the normal form can make a token cover much.
const letters = {
  model: { type: "BPE", vocab: Object.fromEntries(byteAlphabet.map((letter, id) => [letter, id])), merges: [] },
};
const characters = {
  pre_tokenizer: null,
  model: { type: "BPE", vocab: { a: 0, "?": 1 }, merges: [], unk_token: "?", fuse_unk: false },
};
const short = ["NFC", "NFD", "NFKC", "NFKD"].flatMap((type) =>
  [letters, characters].map((part, index) => {
    const name = `${type} of ${index === 0 ? "bytes" : "characters"}`;
    return [name, { ...tinyTokenizerJson(), added_tokens: [], normalizer: { type }, ...part }] as const;
  }),
);
// Letters whose normal forms are shorter or longer than they are.
const units = [
  "a",
  " ",
  "hi",
  "x".repeat(20),
  "\u03b1\u0313\u0300\u0345",
  "\u1112\u1161\u11ab",
  "𝐀",
  "ﬃ",
  "👩‍👧",
  "\uFFFD",
];

describe.each([...golden, ...normalized, ...short])("%s", (_name, content) => {
  const json = parseTokenizerJson(content);
  const tokenizer = createTokenizer(json);
  const bound = maxUnitsPerToken(json);

  it("no token covers more text than the bound", () => {
    expect(bound).toBeLessThan(1000);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom(...units), fc.string({ unit: "binary" }))), (parts) => {
        const text = parts.join("");
        const tokens = tokenizer.encode([{ type: "plain", text }]).length;
        expect(tokens * bound).toBeGreaterThanOrEqual(text.length);
      }),
      { examples: units.map((unit) => [[unit]]) },
    );
  });
});

describe("there is no bound", () => {
  const tinyModel = tinyTokenizerJson()["model"] as { vocab: Record<string, number> };
  const without = (letter: string) => {
    const vocab = Object.fromEntries(Object.entries(tinyModel.vocab).filter(([token]) => token !== letter));
    return { model: { ...tinyModel, vocab } };
  };

  it.each([
    ["a normalizer may strip text", { normalizer: { type: "Strip" } }],
    [
      "a normalizer replaces text by shorter text",
      { normalizer: { type: "Replace", pattern: { String: "ab" }, content: "" } },
    ],
    ["a pattern may match anything", { normalizer: { type: "Replace", pattern: { Regex: " +" }, content: " " } }],
    ["white space is thrown away", { pre_tokenizer: { type: "WhitespaceSplit" } }],
    ["matches are thrown away", { pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "Removed" } }],
    ["a letter is missing and there is no token for it", without("a")],
    [
      "unknown letters melt into one",
      { ...without("a"), model: { ...without("a").model, unk_token: "b", fuse_unk: true } },
    ],
  ])("when %s", (_reason, change) => {
    expect(maxUnitsPerToken(parseTokenizerJson({ ...tinyTokenizerJson(), ...change }))).toBe(Number.POSITIVE_INFINITY);
  });
});
