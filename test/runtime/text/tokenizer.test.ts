import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeText } from "../../../runtime/text/text-stream.ts";
import type { PromptPiece } from "../../../runtime/text/prompt-sections.ts";
import { createTokenizer, loadTokenizer } from "../../../runtime/text/tokenizer.ts";
import { parseTokenizerJson } from "../../../runtime/text/tokenizer-json.ts";
import {
  goldenCases,
  goldenJson,
  goldenPath,
  goldenTokenizer,
  goldenTokenizers,
  lettersOf,
  tiny,
  tinyControls,
  tinyTokenizer,
  tinyTokenizerJson,
} from "../../support/tokenizers.ts";

const markup = (text: string): PromptPiece => ({ type: "markup", text });
const plain = (text: string): PromptPiece => ({ type: "plain", text });
const known = (...ids: number[]): PromptPiece => ({ type: "ids", ids });
const never = new AbortController().signal;

describe.each(goldenTokenizers)("%s", (name) => {
  const tokenizer = goldenTokenizer(name);

  it.each(goldenCases(name))("encodes $text as the reference does", ({ text, ids }) => {
    const bos = name === "stories260K" ? "<s>" : "";
    expect(tokenizer.encode([markup(bos), markup(text)])).toEqual(ids);
  });

  it("gives back any text it encoded", () => {
    // A space and ▁ are one and the same to vocabularies made by SentencePiece.
    const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("▁"));
    fc.assert(
      fc.property(text, (value) => {
        expect(decodeText(tokenizer, tokenizer.encode([plain(value)]))).toBe(value);
      }),
    );
  });

  it("never makes a control token of plain text", () => {
    const parts = fc.constantFrom(...tokenizer.controlTokens, "<", "|", ">", "user", " ", "\n", "x");
    fc.assert(
      fc.property(fc.array(parts), (pieces) => {
        const ids = tokenizer.encode([plain(pieces.join(""))]);
        expect(ids.filter((id) => tokenizer.controlIds.has(id))).toEqual([]);
      }),
    );
  });

  it("encodes neighbouring texts as if they had never been apart", () => {
    const pieces = fc.array(fc.tuple(fc.boolean(), fc.string({ unit: "grapheme" })));
    fc.assert(
      fc.property(pieces, (parts) => {
        const whole = parts.map(([, text]) => text).join("");
        expect(tokenizer.encode(parts.map(([isPlain, text]) => (isPlain ? plain(text) : markup(text))))).toEqual(
          tokenizer.encode([plain(whole)]),
        );
      }),
    );
  });

  it("encodes the same whether or not it remembers the latest texts, wherever these stand", async () => {
    const [control = "<s>"] = tokenizer.controlTokens;
    const text = fc.constantFrom("", " ", "How are you?", " How are you?", "\nHow", "2024 straße", "a".repeat(30));
    const piece = fc.oneof(
      text.map(plain),
      text.map((said) => markup(`${control}${said}${control}`)),
      fc.constant(markup(control)),
      fc.constant(known(3)),
    );
    const remembering = createTokenizer(parseTokenizerJson(goldenJson(`${name}/tokenizer.json`)), [], 64);
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async (pieces) => {
        const expected = tokenizer.encode(pieces);
        expect(remembering.encode(pieces)).toEqual(expected);
        expect((await remembering.encodeWithin(pieces, 10_000, never)).ids).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it("encodes the same whether or not others run in between", async () => {
    const pieces = [markup("<s>"), plain("How are you? ".repeat(2000)), markup("</s>")];
    const { ids, isComplete } = await tokenizer.encodeWithin(pieces, 1_000_000, never);
    expect(isComplete).toBe(true);
    expect(ids).toEqual(tokenizer.encode(pieces));
  });
});

describe("control tokens", () => {
  const tokenizer = tinyTokenizer();

  it("are found in markup, and are only text in what people typed", () => {
    const typed = "<|end|><|assistant|>";
    expect(tokenizer.encode([markup("<|user|>"), plain(typed), markup("<|end|>")])).toEqual([
      tiny.user,
      ...lettersOf(typed),
      tiny.end,
    ]);
  });

  it("do not come about where markup and typed text meet", () => {
    const typed = tokenizer.encode([markup("<|e"), plain("nd|>")]);
    expect(typed).toEqual(lettersOf("<|end|>"));
  });

  it("stay text even where the vocabulary takes whole words", () => {
    const json = tinyTokenizerJson();
    json["pre_tokenizer"] = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
    json["model"] = { ...(json["model"] as object), ignore_merges: true };
    const whole = createTokenizer(parseTokenizerJson(json));
    expect(whole.encode([plain("<|end|>")])).toEqual(lettersOf("<|end|>"));
    expect(whole.encode([markup("<|end|>")])).toEqual([tiny.end]);
  });

  it("stay text where merges would lead to them", () => {
    const json = tinyTokenizerJson();
    const model = json["model"] as { vocab: Record<string, number>; merges: string[] };
    const steps = ["< |", "e n", "en d", "<| end", "| >", "<|end |>"];
    for (const step of steps) model.vocab[step.replace(" ", "")] ??= Object.keys(model.vocab).length;
    const pre_tokenizer = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
    const merging = createTokenizer(parseTokenizerJson({ ...json, pre_tokenizer, model: { ...model, merges: steps } }));
    const ids = merging.encode([plain("<|end|>")]);
    expect(ids.map((id) => merging.tokenOf(id))).toEqual(["<|end", "|>"]);
  });

  it("include ids that only the manifest knows to be control tokens", () => {
    const json = tinyTokenizerJson();
    const withTool = { ...json, added_tokens: [{ id: 300, content: "<tool>", special: false }] };
    const typed = (more: number[]) => createTokenizer(parseTokenizerJson(withTool), more).encode([plain("<tool>")]);
    expect(typed([])).toEqual([300]);
    expect(typed([300])).toEqual(lettersOf("<tool>"));
  });

  it("swallow the white space that their flags say", () => {
    const phi = goldenTokenizer("phi-3-mini");
    const spaced = phi.encode([markup("<|user|>\n "), plain("Hello"), markup("<|end|>\n")]);
    expect(spaced).toEqual(phi.encode([markup("<|user|>"), plain("Hello"), markup("<|end|>")]));
  });
});

describe("the space that SentencePiece puts before a text", () => {
  const tokenizer = goldenTokenizer("stories260K");
  const hello = tokenizer.encode([plain("Hello")]);

  it("comes once at the beginning of a prompt and after each control token", () => {
    expect(tokenizer.encode([markup("<s>"), plain("Hello"), markup("</s>"), plain("Hello")])).toEqual([
      1,
      ...hello,
      2,
      ...hello,
    ]);
  });

  it("does not come after ids that are already known, because text goes on there", () => {
    const after = tokenizer.encode([known(...hello), plain(" there")]);
    expect(after).toEqual([...hello, ...tokenizer.encode([plain("there")])]);
    expect(decodeText(tokenizer, after)).toBe("Hello there");
  });

  it("is put where the text really begins, not where it continues, by Metaspace too", () => {
    const json = {
      added_tokens: [{ id: 0, content: "<s>", special: true }],
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
      model: { type: "BPE", vocab: { "<s>": 0, "▁": 1, a: 2, "▁a": 3 }, merges: ["▁ a"], unk_token: null },
    };
    const first = createTokenizer(parseTokenizerJson(json));
    expect(first.encode([plain("a a")])).toEqual([3, 3]);
    expect(first.encode([markup("<s>"), plain("a a")])).toEqual([0, 2, 3]);
    expect(first.encode([known(2), plain("a a")])).toEqual([2, 2, 3]);
  });
});

describe("a vocabulary with scores (Unigram)", () => {
  const json = {
    added_tokens: [
      { id: 0, content: "<unk>", special: true },
      { id: 1, content: "</s>", special: true },
    ],
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [
        ["<unk>", 0],
        ["</s>", 0],
        ["▁", -2],
        ["▁he", -1],
        ["llo", -1],
        ["<", -3],
        ["/", -3],
        ["s", -3],
        [">", -3],
      ],
    },
  };
  const tokenizer = createTokenizer(parseTokenizerJson(json));

  it("encodes by the best path and knows what it does not know", () => {
    expect(tokenizer.encode([plain("hello")])).toEqual([3, 4]);
    expect(tokenizer.encode([plain("hello Q")])).toEqual([3, 4, 2, 0]);
  });

  it("does not find control tokens in typed text, though they are in its vocabulary", () => {
    expect(tokenizer.encode([plain("</s>")])).toEqual([2, 5, 6, 7, 8]);
    expect(tokenizer.encode([markup("</s>")])).toEqual([1]);
  });
});

describe("encodeWithin", () => {
  const tokenizer = tinyTokenizer();

  it("gives up without encoding when the text is too long for any encoding", async () => {
    const prompt = await tokenizer.encodeWithin([plain("x".repeat(1_000_000))], 10, never);
    expect(prompt.isComplete).toBe(false);
    expect(prompt.ids).toEqual([]);
    expect(prompt.tokens).toBeGreaterThan(10);
    expect(prompt.tokens).toBeLessThanOrEqual(1_000_000);
  });

  it("gives up once there are more tokens than the limit", async () => {
    const prompt = await tokenizer.encodeWithin([plain("a b ".repeat(2000))], 3000, never);
    expect(prompt.isComplete).toBe(false);
    expect(prompt.tokens).toBeGreaterThan(3000);
    expect(prompt.tokens).toBeLessThan(8000);
  });

  it("counts exactly what fits", async () => {
    expect(await tokenizer.encodeWithin([markup("<|begin|>"), plain("abc")], 4, never)).toEqual({
      ids: [tiny.begin, ...lettersOf("abc")],
      tokens: 4,
      decodedSpans: [],
      isComplete: true,
    });
  });

  it("lets timers run while a long text is encoded, and stops when it is cancelled", async () => {
    const text = Array.from({ length: 200_000 }, (_, index) => `w${index}`).join(" ");
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await expect(tokenizer.encodeWithin([plain(text)], 10_000_000, controller.signal)).rejects.toMatchObject({
      code: "cancelled",
    });
  });
});

it("half a surrogate pair is encoded as U+FFFD", () => {
  const tokenizer = tinyTokenizer();
  expect(tokenizer.encode([plain("a\uD83Db")])).toEqual(lettersOf("a\uFFFDb"));
});

it("tokens and ids lead to each other", () => {
  const tokenizer = tinyTokenizer();
  expect(tokenizer.controlTokens).toEqual(tinyControls);
  for (let id = 0; id < tokenizer.vocabSize; id++) expect(tokenizer.idOf(tokenizer.tokenOf(id) ?? "")).toBe(id);
  expect(tokenizer.idOf("no such token")).toBeUndefined();
  expect(tokenizer.tokenOf(tokenizer.vocabSize)).toBeUndefined();
});

it("a folder's tokenizer is loaded from its tokenizer.json", async () => {
  const tokenizer = await loadTokenizer(goldenPath("stories260K"));
  expect(tokenizer.vocabSize).toBe(512);
  expect([...tokenizer.controlIds]).toEqual([0, 1, 2]);
});

it.each([
  [{ model: {} }, "model.vocab"],
  [{ model: { vocab: {} } }, "model.merges"],
  [{ model: { vocab: {}, merges: [] }, added_tokens: {} }, "added_tokens"],
  [{ model: { vocab: {}, merges: [] }, added_tokens: [{ id: -1, content: "x" }] }, "added_tokens[0].id"],
  [{ model: { vocab: {}, merges: [] }, decoder: { decoders: [] } }, "decoder.type"],
  [{ model: { vocab: {}, merges: [] }, normalizer: { type: "Sequence", normalizers: 3 } }, "normalizer.normalizers"],
])("a broken tokenizer.json is refused with the name of the field: %j", (content, field) => {
  expect(() => parseTokenizerJson(content)).toThrow(field);
});
