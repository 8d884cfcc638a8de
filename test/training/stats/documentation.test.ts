import { readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { STATS_HELP } from "../../../training/stats/flags.ts";
import type { StatsReport } from "../../../training/stats/stats-report.ts";
import { fixture, measuredSources, reportOf } from "./measured.ts";

const page = readFileSync(new URL("../../../docs/measures.md", import.meta.url), "utf8");
let report: StatsReport;
beforeAll(async () => {
  report = reportOf(await measuredSources([fixture("garden.jsonl")]));
});

it("the page on statistics names every flag of the command", () => {
  const [, own = ""] = STATS_HELP.split("--split none");
  const flags = Array.from(own.matchAll(/^ {2}(--[\w-]+)/gm), ([, flag]) => flag).filter((flag) => flag !== "--help");
  expect(flags.length).toBeGreaterThan(10);
  expect(flags.filter((flag) => !page.includes(`| \`${flag}`))).toEqual([]);
});

it("the page on statistics names every field of the JSON", () => {
  const [row, source] = [report.rows[0]!, report.sources[0]!];
  const names = [report, row, source, row.histograms, row.firstWords].flatMap((of) => Object.keys(of));
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  expect(page).toContain(`\`${report.format}\``);
});
