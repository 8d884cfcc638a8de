import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { markdownTable, replaceTable } from "./markdown.ts";
import { documents, withTables } from "./tables.ts";

it.each(Object.keys(documents))("the tables of %s are those of the code; `npm run docs` prints them", async (file) => {
  const text = await readFile(new URL(`../../${file}`, import.meta.url), "utf8");
  expect(text).toBe(await withTables(file, text));
});

it("a bar in a cell does not end it", () => {
  expect(markdownTable(["a"], [["b | c"]])).toBe("| a |\n| --- |\n| b \\| c |");
});

describe("a table is replaced", () => {
  const marked = "before\n<!-- x: printed by `npm run docs` -->\nold\n<!-- end of x -->\nafter\n";

  it("between its markers and nowhere else, and a second time changes nothing", () => {
    const once = replaceTable(marked, "x", "| new |");
    expect(once).toBe("before\n<!-- x: printed by `npm run docs` -->\n\n| new |\n\n<!-- end of x -->\nafter\n");
    expect(replaceTable(once, "x", "| new |")).toBe(once);
  });

  it.each([
    ["there is no marker", "before\nafter\n"],
    ["the end is missing", "<!-- x: printed by `npm run docs` -->\nold\n"],
    ["the end comes first", "<!-- end of x -->\n<!-- x: printed by `npm run docs` -->\n"],
    ["it is there twice", marked + marked],
  ])("only where it is clear which: %s", (_, text) => {
    expect(() => replaceTable(text, "x", "| new |")).toThrow("There must be one line <!-- x");
  });
});
