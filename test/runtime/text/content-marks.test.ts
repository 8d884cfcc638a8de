import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createContentMarker } from "../../../runtime/text/content-marks.ts";
import { type PromptPiece, joinPieces } from "../../../runtime/text/prompt-sections.ts";
import { createSplitter } from "../../../runtime/text/added-tokens.ts";

const controls = ["<|end|>", "<s>", "</s>", "[INST]"];
const split = createSplitter(
  controls.map((content, id) => ({
    id,
    content,
    special: true,
    normalized: false,
    lstrip: false,
    rstrip: false,
    singleWord: false,
  })),
);
const noIds = (): PromptPiece => ({ type: "ids", ids: [] });
const mark = createContentMarker(controls);

/** The control tokens and the whole text of a rendering. */
function read(rendering: string, marks: ReturnType<typeof mark>) {
  const sections = joinPieces(marks.toPieces(rendering, noIds), split);
  const tokens = sections.filter((section) => typeof section === "object");
  const text = sections.map((section) =>
    typeof section === "string" ? section : "content" in section ? section.content : "",
  );
  return { tokens: tokens.length, text: text.join("") };
}

const fragment = fc.constantFrom(...controls, "<", "|", "end", ">", "s", "/", "[", "INST]", " ", "\n", "\uFDD0", "x");
const text = fc.array(fragment, { maxLength: 6 }).map((parts) => parts.join(""));

describe("typed text in any template", () => {
  it("adds no control token, and loses nothing", () => {
    fc.assert(
      fc.property(text, text, text, text, text, (before, first, between, second, after) => {
        const marks = mark([before, first, between, second, after]);
        const rendering = before + marks.protect(first) + between + marks.protect(second) + after;
        const { tokens, text: whole } = read(rendering, marks);
        expect(whole).toBe(before + first + between + second + after);
        // Only the template's own text may hold control tokens, and only whole ones.
        const own = [before, between, after].flatMap((part) => split(part)).filter((part) => typeof part === "object");
        const touching = first === "" || second === "" ? split(before + between + after) : [];
        expect(tokens).toBeLessThanOrEqual(
          Math.max(own.length, touching.filter((part) => typeof part === "object").length),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it("stays free of marks when it could be taken for nothing else", () => {
    const marks = mark([]);
    expect(marks.protect("  Hello there, 1 < 2 and so on.\n")).toBe("  Hello there, 1 < 2 and so on.\n");
  });

  it("keeps its white space outside the marks, so that templates can trim it", () => {
    const marks = mark([]);
    const rendering = marks.protect(" \n<|end|> ").trim();
    expect(marks.toPieces(rendering, noIds)).toEqual([{ type: "plain", text: "<|end|>" }]);
  });

  it("completes no control token after a template has trimmed it", () => {
    for (const typed of [" end|> ", "\n> x", "x <s ", " | "]) {
      const marks = mark([typed]);
      const { tokens, text: whole } = read(`<|${marks.protect(typed).trim()}>`, marks);
      expect(whole).toBe(`<|${typed.trim()}>`);
      expect(tokens).toBe(0);
    }
    const marks = mark([]);
    expect(read(`<|${marks.protect(" end| ").trim()}>`, marks)).toEqual({ tokens: 0, text: "<|end|>" });
  });

  it("is plain again when a template tears a pair of marks apart", () => {
    const marks = mark([]);
    const [torn] = marks.protect("a</s>b").split("</s>");
    expect(marks.toPieces(`${torn}!`, noIds)).toEqual([{ type: "markup", text: "a!" }]);
  });
});

describe("stand-ins", () => {
  it("give way to known ids where they come back", () => {
    const marks = mark([]);
    const rendering = `a${marks.standIn(0)}b${marks.standIn(12)}`;
    expect(marks.standInsOf(rendering)).toEqual([0, 12]);
    expect(marks.toPieces(rendering, (index) => ({ type: "ids", ids: [index] }))).toEqual([
      { type: "markup", text: "a" },
      { type: "ids", ids: [0] },
      { type: "markup", text: "b" },
      { type: "ids", ids: [12] },
    ]);
  });

  it("cannot be typed: marks are characters that no text holds", () => {
    const texts = Array.from({ length: 40 }, (_, index) => String.fromCharCode(0xfdd0 + index));
    const marks = mark(texts);
    expect(texts.some((typed) => marks.standIn(1).includes(typed))).toBe(false);
    expect(marks.standInsOf(texts.join("1"))).toEqual([]);
  });
});
