import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatNumber } from "../../../training/report/figure.ts";
import { html } from "../../../training/report/markup.ts";
import { reportPage } from "../../../training/report/page.ts";
import { columnPlot, histogramPlot, linePlot, radarPlot, rowPlot } from "../../../training/report/plots.ts";

const hostile = `<script>alert(1)</script></style></svg>"'&amp; x\u0000\u0007 onload=`;
const plots = (name: string) => [
  columnPlot(
    { title: name, note: name, valueName: name, categoryName: name },
    [name, "b"],
    [
      { name, values: [1, null] },
      { name: "other", values: [3, 4] },
    ],
  ),
  rowPlot({ title: name, valueName: name, categoryName: name }, [name, "b"], [{ name, values: [1, 2] }]),
  histogramPlot({ title: name, unit: name }, [{ name, bins: [{ from: 0, to: null, count: 3 }] }]),
  linePlot({ title: name, xName: name, yName: name }, [1, 2, 3], [{ name, values: [1, null, 3] }]),
  radarPlot({ title: name, max: 10 }, [name, "b", "c"], [{ name, values: [1, 2, 3] }]),
];
const page = (text: string) =>
  reportPage({ title: text, summary: text }, [{ title: text, note: text, content: plots(text) }]);
/** Names of all tags, after a parser's eyes: a tag begins at `<` and a letter or `/`. */
const tagsOf = (source: string) => Array.from(source.matchAll(/<\/?([a-zA-Z!][\w-]*)/g), ([, name]) => name);

it("plots of the same numbers are the same bytes, however many were drawn before", () => {
  const [first, second] = [plots("a"), plots("a")].map((drawn) => drawn.map(({ source }) => source));
  expect(second).toEqual(first);
});

describe("what is put into HTML", () => {
  it("is escaped for text and for quoted attributes", () => {
    expect(html`<a title="${`"><b>'`}">${"a & <b>"}</a>`.source).toBe(
      '<a title="&quot;&gt;&lt;b&gt;&#39;">a &amp; &lt;b&gt;</a>',
    );
  });
  it("stands as it is when it is markup, also in lists", () => {
    const items = ["a", "<"].map((item) => html`<i>${item}</i>`);
    expect(html`<p>${items}</p>`.source).toBe("<p><i>a</i><i>&lt;</i></p>");
  });
  it("never adds a tag, whatever it says", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("<", ">", "&", '"', "'", "/", "!", "-", "=", "a", "\u0000") }),
        (text) => {
          expect(tagsOf(html`<p>${text}</p>`.source)).toEqual(["p", "p"]);
        },
      ),
    );
  });
});

describe("a page", () => {
  it("has the same tags whatever the data say: in titles, legends, axes, plots and tables", () => {
    const plain = "x".repeat(hostile.length);
    expect(tagsOf(page(hostile))).toEqual(tagsOf(page(plain)));
  });
  it("forbids scripts and loading, and asks for neither", () => {
    const source = page("plain");
    expect(source).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(source).not.toMatch(/<script|<link|<img|<iframe|@import|url\((?!#)|\bon\w+=/i);
    // Names of XML's vocabularies are no addresses to fetch.
    expect(new Set(source.match(/https?:[^"' ]+/g))).toEqual(
      new Set(["http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"]),
    );
  });
  it("takes all colours from its style sheet", () => {
    // Black is that of clipping paths, which nobody sees.
    const drawn = plots("plain").map(({ source }) =>
      source.match(/(?:fill|stroke)="(?!none|var\(--|transparent|#000)[^"]*"/g),
    );
    expect(drawn).toEqual([null, null, null, null, null]);
  });
});

describe("a figure", () => {
  it.each(plots("What it shows").map(({ source }) => [source]))("has a name and its numbers as a table", (source) => {
    expect(source).toContain('role="img" aria-label="What it shows. ');
    expect(source).toMatch(/<summary>Figures as a table<\/summary>[^]*<table>[^]*<th scope="row">/);
  });
  it("shows values that are missing as a gap, not as nought", () => {
    const { source } = linePlot({ title: "t", xName: "x", yName: "y" }, [1, 2], [{ name: "s", values: [null, 5] }]);
    expect(source).toMatch(/<td class="number">–<\/td>/);
    expect(source.match(/matrix\(4,0,0,4/g)).toHaveLength(1);
  });
  it("names bins by their whole numbers, and counts stand in its table", () => {
    const bins = [
      { from: 1, to: 2, count: 5 },
      { from: 2, to: 12, count: 7 },
      { from: 12, to: null, count: 1 },
    ];
    const { source } = histogramPlot({ title: "t", unit: "tokens" }, [{ name: "s", bins }]);
    for (const label of ["1", "2–11", "≥ 12"]) expect(source).toContain(`<th scope="row">${label}</th>`);
    for (const count of [5, 7, 1]) expect(source).toContain(`<td class="number">${count}</td>`);
  });
});

it("numbers are written with four significant digits, from a thousand on as whole ones", () => {
  expect([0.123456, 12.3456, 2182.94, 5, 1234567].map(formatNumber)).toEqual([
    "0.1235",
    "12.35",
    "2,183",
    "5",
    "1,234,567",
  ]);
});
