import fc from "fast-check";
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

  it("splits as looking at every place one after the other does", () => {
    const tokens = ["<s>", "<s>/s", "]", "^a", "😀", "\\d"].map((content) => token(content));
    const split = createSplitter(tokens);
    const longest = tokens.toSorted((a, b) => b.content.length - a.content.length);
    const slowly = (text: string): (string | AddedToken)[] => {
      for (let at = 0; at < text.length; at += 1) {
        const found = longest.find(({ content }) => text.startsWith(content, at));
        if (found === undefined) continue;
        const rest = slowly(text.slice(at + found.content.length));
        return at === 0 ? [found, ...rest] : [text.slice(0, at), found, ...rest];
      }
      return text === "" ? [] : [text];
    };
    const part = fc.constantFrom("<s>", "<", "s>", "/s", "]", "^", "a", "😀", "\ud83d", "\\d", "5", " ");
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(split(parts.join(""))).toEqual(slowly(parts.join("")));
      }),
    );
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
