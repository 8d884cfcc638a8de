import { describe, expect, it } from "vitest";
import { type AddedToken, createSplitter, swallowSpace } from "../../../runtime/text/added-tokens.ts";

const token = (content: string, flags: Partial<AddedToken> = {}): AddedToken => ({
  id: content.length,
  content,
  special: true,
  normalized: false,
  lstrip: false,
  rstrip: false,
  singleWord: false,
  ...flags,
});
const shown = (parts: readonly (string | AddedToken)[]) =>
  parts.map((part) => (typeof part === "string" ? part : `[${part.content}]`));

describe("createSplitter", () => {
  it.each([
    ["<s>", ["[<s>]"]],
    ["a<s>b<s>", ["a", "[<s>]", "b", "[<s>]"]],
    ["", []],
    ["<s", ["<s"]],
    ["<<s>", ["<", "[<s>]"]],
    ["<s>/s>", ["[<s>/s>]"]],
    ["<s>/s", ["[<s>]", "/s"]],
  ])("splits %j leftmost first and longest first", (text, parts) => {
    expect(shown(createSplitter([token("<s>"), token("<s>/s>")])(text))).toEqual(parts);
  });

  it("finds a token that must stand alone only where no word goes on", () => {
    const split = createSplitter([token("yes", { singleWord: true })]);
    expect(shown(split("yes, eyes yes2 (yes) yes𝒳"))).toEqual(["[yes]", ", eyes yes2 (", "[yes]", ") yes𝒳"]);
  });

  it("leaves everything alone when there are no tokens", () => {
    expect(createSplitter([])("a b")).toEqual(["a b"]);
    expect(createSplitter([])("")).toEqual([]);
  });
});

describe("swallowSpace", () => {
  it("trims only the sides that the neighbours' flags say, and drops what becomes empty", () => {
    const left = token("L", { lstrip: true });
    const right = token("R", { rstrip: true });
    expect(shown(swallowSpace([" a ", left, " b ", right, " c ", right, " \n "]))).toEqual([
      " a",
      "[L]",
      " b ",
      "[R]",
      "c ",
      "[R]",
    ]);
  });
});
