// Owns reports as pages: which plots and tables show what. It computes nothing, and draws nothing itself.
import { dataTable, type Row } from "../report/figure.ts";
import type { Markup } from "../report/markup.ts";
import { reportPage, type Section } from "../report/page.ts";
import { linePlot, radarPlot } from "../report/plots.ts";
import type { JudgeReport } from "./bench-report.ts";
import type { Correlations } from "./measured-rows.ts";
import { correlationCells, reviewCells, reviewColumns, warningText } from "./report-text.ts";
import type { ReviewTally } from "./reviews.ts";
import type { Scaling } from "./scaling.ts";

/** The highest rating. */
const bestRating = 10;

/** More lines than that cannot be told apart in one plot. */
const mostInPlot = 6;

export function benchPage(
  bench: string,
  reports: readonly JudgeReport[],
  reviews: readonly ReviewTally[],
  correlations: Correlations | null,
): string {
  const sections = reports.map((report) => judgeSection(report));
  if (reviews.length > 0) {
    const caption = "Marks of both answers, added up";
    const table = dataTable({ caption, columns: reviewColumns, rows: reviewCells(reviews) });
    sections.push({ title: "Recorded reviews", content: [table] });
  }
  if (correlations !== null) sections.push(correlationSection(correlations));
  const judges = reports.map(({ judge }) => judge).join(", ");
  const summary =
    judges === ""
      ? "No judgments."
      : `Judged by ${judges}. Ratings from 1 to 10; what could not be read is in no mean.`;
  return reportPage({ title: `Evaluation on ${bench}`, summary }, sections);
}

export function scalingPage({ sizes, curves }: Scaling): string {
  const text = { title: "Score by size of the data", xName: "size", yName: "score" };
  const rows = curves.map(({ name, gainPerDoubling, trend }) => [
    name,
    gainPerDoubling,
    trend.r,
    trend.n,
    trend.warning ?? "",
  ]);
  const table = dataTable({
    caption: "What more data brings",
    columns: ["score", "gain a doubling", "Spearman", "n", "warning"],
    rows,
  });
  const content = [linePlot(text, sizes, curves), table];
  return reportPage({ title: "Scaling", summary: `Subsets of ${sizes.join(", ")}.` }, [{ title: "Curve", content }]);
}

function judgeSection({ judge, models, pairs }: JudgeReport): Section {
  const content: Markup[] = [];
  if (models.length > 0) {
    const categories = [...(models[0]?.byCategory.keys() ?? [])];
    // A model with an empty category has no closed line.
    const whole = models
      .map(({ model, byCategory }) => ({ name: model, values: categories.map((name) => byCategory.get(name)?.mean) }))
      .filter((series): series is { name: string; values: number[] } => series.values.every((value) => value != null));
    const shown = whole.slice(0, mostInPlot);
    const note = shown.length === models.length ? {} : { note: `${shown.length} of ${models.length} models.` };
    content.push(radarPlot({ title: "Ratings by category", max: bestRating, ...note }, categories, shown));
    content.push(
      dataTable({
        caption: "Ratings",
        columns: ["model", "mean", "turn 1", "turn 2", "n", "unreadable"],
        rows: models.map(({ model, all, turn1, turn2, unreadable }): Row => [
          model,
          all.mean,
          turn1.mean,
          turn2.mean,
          all.n,
          unreadable,
        ]),
      }),
      dataTable({
        caption: "Ratings by category",
        columns: ["model", ...categories],
        rows: models.map(({ model, byCategory }): Row => [
          model,
          ...categories.map((name) => byCategory.get(name)?.mean ?? null),
        ]),
      }),
    );
  }
  if (pairs.length > 0) {
    content.push(
      dataTable({
        caption: "Pairs: a win or a loss only where both orders agree; unreadable ones dropped",
        columns: ["model", "against", "win", "tie", "loss", "dropped", "adjusted win rate, %"],
        rows: pairs.map(({ model1, model2, win, tie, loss, dropped, adjustedWinRate: rate }): Row => [
          model1,
          model2,
          win,
          tie,
          loss,
          dropped,
          rate === null ? null : rate * 100,
        ]),
      }),
    );
  }
  return { title: `Judged by ${judge}`, content };
}

function correlationSection(correlations: Correlations): Section {
  const tables = (["pearson", "spearman"] as const).map((method) =>
    dataTable({
      caption: `${method === "pearson" ? "Pearson" : "Spearman"}: r, * under 5 % by chance, (rows)`,
      columns: ["measure", ...correlations.scores],
      rows: correlationCells(correlations, method),
    }),
  );
  return { title: "Measures of the data against scores", note: warningText(correlations), content: tables };
}
