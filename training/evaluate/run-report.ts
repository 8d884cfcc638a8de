// Owns the commands that only read and show: the bench report, the scaling curve, and writing nested subsets.
// It opens files and leaves counting, text and plots to others.
import { writeFile } from "node:fs/promises";
import { BenchFolder, kindOf } from "./bench-folder.ts";
import { benchReports, type JudgeReport } from "./bench-report.ts";
import { readRows } from "./json-lines.ts";
import { pairSchema, singleSchema } from "./judgment-file.ts";
import { correlateRows, readMeasuredRows } from "./measured-rows.ts";
import { type Options, UsageError } from "./options.ts";
import { readQuestionSet } from "./question-set.ts";
import { benchPage, scalingPage } from "./report-page.ts";
import { reviewSchema, tallyReviews } from "./reviews.ts";
import { correlationText, judgeReportText, reviewText, scalingText } from "./report-text.ts";
import { scalingOf, type ScalingRow, scalingRowSchema } from "./scaling.ts";
import { writeSubsets } from "./subset.ts";
import type { Terminal } from "./terminal.ts";

export async function runReport(options: Options, terminal: Terminal): Promise<void> {
  const bench = options.text("bench") ?? "mt-bench";
  const { questions } = await readQuestionSet(bench, null);
  const named = options.list("judgments");
  const folder = new BenchFolder(options.text("dir") ?? "evaluation", bench);
  const files = named.length > 0 ? named : await folder.judgmentFiles();
  const measures = options.text("measures");
  if (files.length === 0 && measures === null) throw new Error(`There are no judgments of ${bench} yet.`);
  const singles = await readAll(files, "single", (path) => readRows(path, singleSchema));
  const pairs = await readAll(files, "pair", (path) => readRows(path, pairSchema));
  const reviews = await Promise.all(
    files
      .filter((path) => kindOf(path) === "review")
      .map(async (path) => tallyReviews(path, await readRows(path, reviewSchema))),
  );
  const reports = benchReports(questions, singles, pairs);
  const correlations =
    measures === null ? null : correlateRows(await readMeasuredRows(measures), judgedScores(bench, reports));
  const texts = reports.map((report) => judgeReportText(bench, report));
  if (reviews.length > 0) texts.push(reviewText(reviews));
  if (correlations !== null) texts.push(correlationText(correlations));
  terminal.print(texts.join("\n\n"));
  await writePage(options, benchPage(bench, reports, reviews, correlations));
  const plain = reports.map(({ judge, models, pairs: compared }) => ({
    judge,
    pairs: compared,
    models: models.map((model) => ({ ...model, byCategory: Object.fromEntries(model.byCategory) })),
  }));
  await writeJson(options, { bench, judges: plain, reviews, correlations });
}

export async function runScaling(options: Options, terminal: Terminal): Promise<void> {
  const results = options.text("results");
  const rows = results === null ? rowsOf(options) : await readRows(results, scalingRowSchema);
  const scaling = scalingOf(rows);
  terminal.print(scalingText(scaling));
  await writePage(options, scalingPage(scaling));
  await writeJson(options, scaling);
}

export async function runSubset(options: Options, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const seed = options.whole("seed", 1, 0);
  const files = await writeSubsets(
    options.needed("data"),
    options.wholes("sizes"),
    seed,
    options.needed("out"),
    signal,
  );
  for (const { path, size } of files) terminal.print(`${path}: ${size} rows.`);
}

async function readAll<T>(
  files: readonly string[],
  kind: "single" | "pair",
  read: (path: string) => Promise<T[]>,
): Promise<T[]> {
  const rows = await Promise.all(files.filter((path) => kindOf(path) === kind).map(read));
  return rows.flat();
}

/** Scores by model; where there are several judges, each under its name. */
function judgedScores(bench: string, reports: readonly JudgeReport[]): Map<string, Record<string, number | null>> {
  const found = new Map<string, Record<string, number | null>>();
  for (const { judge, models } of reports) {
    const prefix = reports.length > 1 ? `${bench} by ${judge}` : bench;
    for (const { model, all, turn1, turn2 } of models) {
      const scores = {
        [prefix]: all.mean,
        ...(turn2.n === 0 ? {} : { [`${prefix}, turn 1`]: turn1.mean, [`${prefix}, turn 2`]: turn2.mean }),
      };
      found.set(model, { ...found.get(model), ...scores });
    }
  }
  return found;
}

function rowsOf(options: Options): readonly ScalingRow[] {
  const sizes = options.wholes("sizes");
  const scores = options.numbers("scores");
  if (sizes.length === scores.length) return sizes.map((size, index) => ({ size, scores: { score: scores[index]! } }));
  throw new UsageError(`--sizes has ${sizes.length} values and --scores ${scores.length}.`);
}

async function writePage(options: Options, page: string): Promise<void> {
  const path = options.text("html");
  if (path !== null) await writeFile(path, page);
}

async function writeJson(options: Options, value: unknown): Promise<void> {
  const path = options.text("json");
  if (path !== null) await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
