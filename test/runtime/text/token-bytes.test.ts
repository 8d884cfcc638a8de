import { describe, expect, it } from "vitest";
import { byteAlphabet, createTokenBytes } from "../../../runtime/text/token-bytes.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const sequence = (...decoders: { type: string; [field: string]: unknown }[]) => ({ type: "Sequence", decoders });
const toSpace = { type: "Replace", pattern: { String: "▁" }, content: " " };

describe("byte-level tokens", () => {
  const { toBytes } = createTokenBytes({ type: "ByteLevel" });

  it("stand for one byte a letter", () => {
    expect(byteAlphabet.map((letter) => toBytes(letter))).toEqual(
      Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    );
    expect(text(toBytes("Ġhello"))).toBe(" hello");
    expect(toBytes("ðŁ")).toEqual(Uint8Array.of(0xf0, 0x9f));
  });

  it("stand for themselves when a letter is not of that alphabet", () => {
    expect(text(toBytes("<｜end｜>"))).toBe("<｜end｜>");
  });
});

describe("SentencePiece-like tokens", () => {
  const rules = createTokenBytes(
    sequence(toSpace, { type: "ByteFallback" }, { type: "Fuse" }, { type: "Strip", content: " ", start: 1, stop: 0 }),
  );

  it("have ▁ for a space and names for bytes", () => {
    expect(text(rules.toBytes("▁a▁b"))).toBe(" a b");
    expect(rules.toBytes("<0xE4>")).toEqual(Uint8Array.of(0xe4));
    expect(text(rules.toBytes("<0xE>"))).toBe("<0xE>");
  });

  it("say how many spaces encoding put at the start", () => {
    expect(rules.droppedLeadingSpaces).toBe(1);
    expect(createTokenBytes(sequence(toSpace, { type: "Fuse" })).droppedLeadingSpaces).toBe(0);
    expect(createTokenBytes({ type: "Metaspace" }).droppedLeadingSpaces).toBe(1);
    expect(createTokenBytes({ type: "Metaspace", prepend_scheme: "never" }).droppedLeadingSpaces).toBe(0);
  });
});

it.each([
  [null, "decoder is missing"],
  [{ type: "WordPiece" }, "WordPiece is not supported"],
  [sequence({ type: "Fuse" }, toSpace), "Replace after Fuse"],
  [{ type: "Strip", content: " ", start: 1 }, "after Fuse"],
  [sequence({ type: "Fuse" }, { type: "Strip", content: " ", start: 0, stop: 1 }), "spaces at the start"],
  [{ type: "Replace", pattern: { Regex: "a+" }, content: "" }, "plain strings"],
  [{ type: "Metaspace", replacement: 3 }, "Metaspace.replacement"],
])("a decoder that could give wrong text is refused: %j", (decoder, reason) => {
  expect(() => createTokenBytes(decoder)).toThrow(reason);
});
