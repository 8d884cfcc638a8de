import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linePlot, radarPlot } from "../../training/report/plots.ts";
import { reportPage } from "../../training/report/page.ts";
import { htmlReport } from "../../training/stats/html-report.ts";
import { chromiumPath, openFile, type OpenPage, startChromium } from "../support/chromium.ts";
import { fixture, measuredSources, reportOf } from "../training/stats/measured.ts";

if (chromiumPath === null) {
  console.warn(
    "SKIPPED: no Chromium was found, so no page was opened (apt-get install chromium, or name it in CHROMIUM).",
  );
}

const hostile = `</text></style></svg></title><script>document.title="pwned";alert(1)</script><img src="x" onerror="alert(2)">`;

describe.skipIf(chromiumPath === null)("a report in Chromium", () => {
  let folder: string;
  let browser: Browser;
  let statsFile: string;
  let plotsFile: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "realchat-page-"));
    statsFile = join(folder, "stats.html");
    plotsFile = join(folder, "plots.html");
    // Openers and first words come out of the dialogues; names of files and of groups are other people's as well.
    const source = join(folder, `hostile "'<b>&.jsonl`);
    const rows = ["one", "two"].map((end) => ({
      conversations: [
        { from: "human", value: hostile },
        { from: "gpt", value: `${hostile} ${end}` },
      ],
    }));
    await writeFile(source, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const sources = await measuredSources([source, fixture("garden.jsonl"), fixture("selfplay.jsonl")]);
    const names = sources.map(({ name }) => name);
    const scores = { [hostile]: Object.fromEntries(names.map((name, index) => [name, index])) };
    await writeFile(statsFile, htmlReport(reportOf(sources, { withPaper: true, scores })));
    const series = [
      { name: hostile, values: [1, 5, 9] },
      { name: "plain", values: [9, 5, 1] },
    ];
    const plots = [
      linePlot({ title: hostile, xName: hostile, yName: "score" }, [10_000, 20_000, 30_000], series),
      radarPlot({ title: "Categories", max: 10 }, ["writing", hostile, "math"], series),
    ];
    await writeFile(plotsFile, reportPage({ title: hostile, summary: hostile }, [{ title: "Plots", content: plots }]));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const views = [
    { width: 1200, scheme: "light" },
    { width: 1200, scheme: "dark" },
    { width: 390, scheme: "light" },
  ] as const;
  describe.each([
    ["statistics", () => statsFile, "Dialogue statistics", 10],
    ["every other plot", () => plotsFile, hostile, 2],
  ] as const)("of %s", (_, file, title, leastPlots) => {
    it.each(views)("shows all plots, asks for nothing, runs nothing: $width pixels, $scheme", async (view) => {
      const opened = await openFile(browser, file(), view);
      try {
        await checkPlots(opened, leastPlots, view);
        expect(await opened.page.title()).toBe(title);
        expect(await opened.page.locator("script, img, b").count()).toBe(0);
        expect(opened.complaints).toEqual([]);
        expect(opened.requests).toEqual([]);
      } finally {
        await opened.page.close();
      }
    });
  });

  it("shows the text of the dialogues as it stands", async () => {
    const { page } = await openFile(browser, statsFile, views[0]);
    expect(await page.getByRole("rowheader", { name: hostile.toLowerCase() }).count()).toBeGreaterThan(0);
    await page.close();
  });

  it("opens the table of a plot from the keyboard", async () => {
    const { page } = await openFile(browser, plotsFile, views[0]);
    const summary = page.locator("summary").first();
    const table = page.locator("details table").first();
    expect(await table.isVisible()).toBe(false);
    await summary.focus();
    await page.keyboard.press("Enter");
    expect(await table.isVisible()).toBe(true);
    expect(await table.locator("tbody tr").count()).toBe(3);
    await page.close();
  });
});

async function checkPlots(
  { page }: OpenPage,
  leastPlots: number,
  { width, scheme }: { readonly width: number; readonly scheme: string },
): Promise<void> {
  const plots = page.locator(".plot svg");
  const count = await plots.count();
  expect(count).toBeGreaterThanOrEqual(leastPlots);
  for (let index = 0; index < count; index += 1) {
    const box = await plots.nth(index).boundingBox();
    expect(box?.width).toBeGreaterThan(Math.min(300, width * 0.7));
    expect(box?.height).toBeGreaterThan(40);
    // A narrow window scrolls a plot rather than making its smallest letters, 12 of its 600 units, unreadable.
    expect(((box?.width ?? 0) / 600) * 12).toBeGreaterThanOrEqual(9);
    // Marks of the data, in the colour of the scheme and not in the page's.
    const marks = plots.nth(index).locator('[fill*="--series"], [stroke*="--series"]');
    expect(await marks.count()).toBeGreaterThan(0);
    expect(await page.locator(".plot").nth(index).getAttribute("aria-label")).toMatch(
      /The figures are in the table below/,
    );
  }
  // The caption of a table that is wider than the window can be read without scrolling.
  for (const caption of await page.locator("section > .cards > .scroll caption span").all()) {
    const box = await caption.boundingBox();
    expect((box?.x ?? 0) + (box?.width ?? width)).toBeLessThanOrEqual(width);
  }
  // The page itself does not scroll sideways; wide tables do, inside.
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
  const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  expect(paper).toBe(scheme === "dark" ? "rgb(22, 24, 28)" : "rgb(252, 252, 251)");
}
