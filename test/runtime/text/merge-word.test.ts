import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createMergeWord } from "../../../runtime/text/merge-word.ts";
import { parseTokenizerJson, type VocabularyJson } from "../../../runtime/text/tokenizer-json.ts";
import { goldenJson, goldenTokenizers } from "../../support/tokenizers.ts";

interface Library {
  readonly model: { _call(words: string[]): string[]; readonly tokens_to_ids: Map<string, number> };
}

/** What the library makes of a word. */
function libraryOf(model: VocabularyJson): (word: string) => (number | undefined)[] {
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const library = new LibraryTokenizer({ ...parts, model }, {}) as unknown as Library;
  return (word) => library.model._call([word]).map((token) => library.model.tokens_to_ids.get(token));
}

describe.each(goldenTokenizers)("words of %s", (name) => {
  const { model } = parseTokenizerJson(goldenJson(`${name}/tokenizer.json`));
  const mergeWord = createMergeWord(model)!;
  const reference = libraryOf(model);
  const vocabulary = Object.keys(model.vocab).filter((token) => token.trim() === token);
  const known = [...new Set(vocabulary.join(""))].filter((letter) => letter in model.vocab);

  it("become what the library makes of them", () => {
    const part = fc.oneof(fc.constantFrom(...vocabulary), fc.constantFrom(...known));
    let merged = 0;
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const word = parts.join("");
        const ids = mergeWord(word);
        if (ids === null) return;
        merged += 1;
        expect(ids).toEqual(reference(word));
      }),
      { numRuns: 500 },
    );
    expect(merged).toBeGreaterThan(300);
  });

  it("are the library's where they are long, or hold what the vocabulary has not", () => {
    expect(mergeWord("a".repeat(64))).toEqual(reference("a".repeat(64)));
    expect(mergeWord("a".repeat(65))).toBeNull();
    expect(mergeWord("a\u{10ffff}")).toBeNull();
  });
});

describe("a vocabulary of a few merges", () => {
  const vocab = Object.fromEntries(["a", "b", "c", "ab", "bc", "abc", "aa"].map((token, id) => [token, id]));
  const of = (more: Record<string, unknown>) => createMergeWord({ type: "BPE", vocab, ...more });

  it.each([
    [["a b", "b c", "ab c"], "abc", [5]],
    [["b c", "a b"], "abc", [0, 4]],
    // Of equal pairs the left one.
    [["a a"], "aaa", [6, 0]],
    // Said twice: the later rank.
    [["a b", "b c", "a b"], "abc", [0, 4]],
    [[["a", "b"]], "ab", [3]],
  ])("%j makes of %s the ids %j", (merges, word, ids) => {
    expect(of({ merges })?.(word)).toEqual(ids);
  });

  it("whole tokens come first where merges are to be ignored", () => {
    expect(of({ merges: [], ignore_merges: true })?.("abc")).toEqual([5]);
    expect(of({ merges: [] })?.("abc")).toEqual([0, 1, 2]);
  });

  it.each([
    { merges: ["a c"] },
    { merges: [], end_of_word_suffix: "</w>" },
    { merges: [], dropout: 0.1 },
    { merges: [], type: "WordPiece" },
  ])("%j needs the library", (more) => {
    expect(of(more)).toBeNull();
  });
});
