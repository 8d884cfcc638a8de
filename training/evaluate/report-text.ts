// Owns reports as text for a terminal, tables that are also Markdown. It computes nothing.
import type { JudgeReport } from "./bench-report.ts";
import type { HeldOutComparison } from "./compare-held-out.ts";
import type { HeldOutFigures } from "./held-out.ts";
import type { Correlations } from "./measured-rows.ts";
import type { ReviewTally } from "./reviews.ts";
import type { Scaling } from "./scaling.ts";
import { type Cell, textTable } from "./text-table.ts";

export function judgeReportText(bench: string, { judge, models, pairs }: JudgeReport): string {
  const parts = [`${bench}, judged by ${judge}`];
  if (models.length > 0) {
    const categories = [...(models[0]?.byCategory.keys() ?? [])];
    const means = models.map(({ model, all, turn1, turn2, unreadable }) => [
      model,
      all.mean,
      turn1.mean,
      turn2.mean,
      all.n,
      unreadable,
    ]);
    parts.push(textTable(["model", "mean", "turn 1", "turn 2", "n", "unreadable"], means, 4));
    const byCategory = models.map((row) => [
      row.model,
      ...categories.map((name) => row.byCategory.get(name)?.mean ?? null),
    ]);
    parts.push(textTable(["model", ...categories], byCategory));
  }
  if (pairs.length > 0) {
    const rows = pairs.map(({ model1, model2, win, tie, loss, dropped, adjustedWinRate: rate }) => [
      model1,
      model2,
      win,
      tie,
      loss,
      dropped,
      rate === null ? null : `${(rate * 100).toFixed(2)} %`,
    ]);
    parts.push(textTable(["model", "against", "win", "tie", "loss", "dropped", "adjusted win rate"], rows));
  }
  return parts.join("\n\n");
}

export const reviewColumns = ["review", "n", "total 1", "total 2", "2 wins", "tie", "2 loses", "unreadable"];

export const reviewCells = (reviews: readonly ReviewTally[]): Cell[][] =>
  reviews.map((row) => [row.name, row.n, row.total1, row.total2, row.win2, row.tie, row.loss2, row.unreadable]);

export function reviewText(reviews: readonly ReviewTally[]): string {
  return `Marks of recorded reviews, added up\n\n${textTable(reviewColumns, reviewCells(reviews), 1)}`;
}

/** Both matrices; what chance alone gives is marked. */
export function correlationText(correlations: Correlations): string {
  return (["pearson", "spearman"] as const)
    .map((method) => {
      const rows = correlationCells(correlations, method);
      const title = method === "pearson" ? "Pearson" : "Spearman";
      return `${title} (r, n; * is under 5 % by chance)\n\n${textTable(["measure", ...correlations.scores], rows)}`;
    })
    .concat(warningText(correlations))
    .join("\n\n");
}

/** Rows of a matrix: the measure, then a cell for every score. */
export function correlationCells(correlations: Correlations, method: "pearson" | "spearman"): Cell[][] {
  return correlations.measures.map((measure) => [
    measure,
    ...correlations.scores.map((score) => {
      const found = correlations[method][measure]?.[score];
      if (found === undefined || found.r === null) return null;
      return `${found.r.toFixed(4)}${found.warning === null ? "*" : ""} (${found.n})`;
    }),
  ]);
}

/** What must stand beside a matrix of so few rows. */
export function warningText({ pearson }: Correlations): string {
  const all = Object.values(pearson).flatMap((row) => Object.values(row));
  const weak = all.filter(({ warning }) => warning !== null);
  if (weak.length === 0) return `All ${all.length} are under 5 % by chance.`;
  const bounds = [...new Set(weak.map(({ n, criticalR }) => `n = ${n}: |r| below ${criticalR?.toFixed(3) ?? "1"}`))];
  return (
    `Not significant: ${weak.length} of ${all.length} of Pearson's are what chance gives at 5 % (${bounds.join("; ")}). ` +
    `Among so many, one in twenty passes by chance alone.`
  );
}

export function scalingText({ sizes, curves }: Scaling): string {
  const rows = sizes.map((size, index) => [size, ...curves.map(({ values }) => values[index] ?? null)]);
  const notes = curves.map(({ name, gainPerDoubling: gain, trend }) => {
    const slope = gain === null ? "too few points" : `${gain.toFixed(4)} a doubling`;
    const rank = trend.r === null ? "" : `, Spearman ${trend.r.toFixed(4)} with n = ${trend.n}`;
    return `${name}: ${slope}${rank}.${trend.warning === null ? "" : ` ${trend.warning}`}`;
  });
  return [textTable(["size", ...curves.map(({ name }) => name)], rows, 4), ...notes].join("\n\n");
}

export interface HeldOutLine extends HeldOutFigures {
  /** null: all files together. */
  readonly file: string | null;
  readonly role: string;
  /** Rows that could not be read. */
  readonly broken: number;
}

export function heldOutText(model: string, lines: readonly HeldOutLine[]): string {
  const columns = ["file", "turns of", "dialogues", "turns", "tokens", "nats/token", "perplexity", "bits/byte", "95 %"];
  const rows = lines.map((line) => [
    line.file ?? "all",
    line.role,
    line.dialogues,
    line.turns,
    line.tokens,
    line.natsPerToken?.value ?? null,
    line.perplexity?.value ?? null,
    line.bitsPerByte?.value ?? null,
    line.bitsPerByte === null ? null : `${line.bitsPerByte.low.toFixed(4)} to ${line.bitsPerByte.high.toFixed(4)}`,
  ]);
  return `Held-out text under ${model}\n\n${textTable(columns, rows, 4)}`;
}

export interface ComparisonLine extends HeldOutComparison {
  readonly file: string | null;
  readonly role: string;
}

/** Bits a byte of two models on the same turns. */
export function comparisonText(model: string, against: string, lines: readonly ComparisonLine[]): string {
  const columns = ["file", "turns of", "n", model, against, "difference", "95 %", "better in", "unpaired"];
  const rows = lines.map((line) => [
    line.file ?? "all",
    line.role,
    line.dialogues,
    line.model?.value ?? null,
    line.against?.value ?? null,
    line.difference?.value ?? null,
    line.difference === null ? null : `${line.difference.low.toFixed(4)} to ${line.difference.high.toFixed(4)}`,
    line.betterDialogues,
    line.unpaired,
  ]);
  const title = `Bits a byte of the same turns; a difference above 0, and above 0 in all of the interval, is for ${model}`;
  return `${title}\n\n${textTable(columns, rows, 4)}`;
}
