import { readFileSync } from "node:fs";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteTokenName } from "../../../runtime/text/token-bytes.ts";
import { createTextStream, decodeText } from "../../../runtime/text/text-stream.ts";
import type { Tokenizer } from "../../../runtime/text/tokenizer.ts";
import {
  goldenPath,
  goldenTokenizer,
  goldenTokenizers,
  lettersOf,
  tiny,
  tinyTokenizer,
} from "../../support/tokenizers.ts";

const piecesOf = (tokenizer: Tokenizer, ids: readonly number[]) => {
  const stream = createTextStream(tokenizer);
  return [...ids.map((id) => stream.push(id)), stream.flush()];
};

describe.each(goldenTokenizers)("%s", (name) => {
  const tokenizer = goldenTokenizer(name);
  const present = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(
    (id) => tokenizer.tokenOf(id) !== undefined,
  );
  const json = JSON.parse(readFileSync(goldenPath(`${name}/tokenizer.json`), "utf8")) as object;
  const library = new Library(json, {}) as { decode(ids: number[], options: object): string };

  // The library drops a byte order mark made of byte tokens; text must keep it.
  const hasMark = (ids: readonly number[]) => decodeText(tokenizer, ids).includes("\uFEFF");
  const isControl = (id: number) => tokenizer.controlIds.has(id);

  it("puts out, piece by piece, what the tokenizer library makes of the whole", () => {
    const ids = fc.array(fc.constantFrom(...present), { minLength: 1 }).filter((value) => !hasMark(value));
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    fc.assert(
      fc.property(ids, (value) => {
        const whole = value.every(isControl) ? "" : library.decode(value, options);
        expect(piecesOf(tokenizer, value).join("")).toBe(whole);
      }),
      { numRuns: 500 },
    );
  });

  it("never takes back what it put out", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...present)), (ids) => {
        const whole = decodeText(tokenizer, ids);
        let shown = "";
        const stream = createTextStream(tokenizer);
        for (const id of ids) {
          shown += stream.push(id);
          expect(whole.startsWith(shown)).toBe(true);
          expect(shown.isWellFormed()).toBe(true);
        }
      }),
    );
  });
});

describe("bytes of one character", () => {
  const tokenizer = tinyTokenizer();

  it("are held back until the character is whole", () => {
    expect(piecesOf(tokenizer, lettersOf("é🙂!"))).toEqual(["", "é", "", "", "", "🙂", "!", ""]);
  });

  it("become U+FFFD as soon as nothing can complete them, and not before", () => {
    const [f0, nine, eight] = lettersOf("🙂");
    expect(piecesOf(tokenizer, [f0 ?? 0, nine ?? 0, ...lettersOf("a")])).toEqual(["", "", "\uFFFDa", ""]);
    expect(piecesOf(tokenizer, [f0 ?? 0, nine ?? 0, eight ?? 0])).toEqual(["", "", "", "\uFFFD"]);
    expect(piecesOf(tokenizer, [tiny.bye + 1 + 0xff])).toEqual(["\uFFFD", ""]);
  });

  it("come together across a control token, which is no text", () => {
    const [first, second] = lettersOf("é");
    expect(piecesOf(tokenizer, [first ?? 0, tiny.end, second ?? 0])).toEqual(["", "", "é", ""]);
  });

  it("may be a byte order mark, which is text like any other", () => {
    expect(decodeText(tokenizer, lettersOf("\uFEFFa"))).toBe("\uFEFFa");
  });

  it("come from byte tokens too", () => {
    const sentencePiece = goldenTokenizer("stories260K");
    const ids = [0xe4, 0xbd, 0xa0].map((byte) => sentencePiece.idOf(byteTokenName(byte)) ?? 0);
    expect(piecesOf(sentencePiece, ids)).toEqual(["", "", "你", ""]);
  });
});

describe("the space at the start", () => {
  const tokenizer = goldenTokenizer("stories260K");
  const space = tokenizer.idOf("▁") ?? 0;
  const word = tokenizer.encode([{ type: "plain", text: "Once" }]);

  it("is dropped once, where SentencePiece put it", () => {
    expect(decodeText(tokenizer, word)).toBe("Once");
    expect(decodeText(tokenizer, [space, ...word])).toBe(" Once");
    expect(decodeText(tokenizer, [tokenizer.idOf("<s>") ?? 0, ...word, ...word])).toBe("Once Once");
  });

  it("is kept by byte-level models, where it was sampled", () => {
    const byteLevel = goldenTokenizer("gpt2");
    expect(decodeText(byteLevel, byteLevel.encode([{ type: "plain", text: " Once" }]))).toBe(" Once");
  });
});

it("ids that the vocabulary does not have are no text", () => {
  expect(decodeText(tinyTokenizer(), [100_000, ...lettersOf("a"), -1])).toBe("a");
});

it("the time for a token does not grow with the text before it", () => {
  const tokenizer = tinyTokenizer();
  const ids = lettersOf("abcdefgh");
  const timeOf = (rounds: number) => {
    const stream = createTextStream(tokenizer);
    const start = performance.now();
    for (let round = 0; round < rounds; round++) for (const id of ids) stream.push(id);
    return performance.now() - start;
  };
  // The quickest of several: others may be using the machine.
  const quickest = (rounds: number) => Math.min(...[1, 2, 3].map(() => timeOf(rounds)));
  timeOf(5_000);
  const short = quickest(5_000);
  // Ten times the tokens: ten times the time when linear, a hundred times when quadratic.
  expect(quickest(50_000)).toBeLessThan(40 * short);
});
