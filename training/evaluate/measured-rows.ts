// Owns data sets' measures beside the scores of the models trained on them, and how the two go together.
// It does not know how either was found.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { type Correlation, correlationMatrix, pearson, spearman } from "../measures/correlation.ts";
import { parseRows } from "./json-lines.ts";

const numbers = z.record(z.string(), z.number().nullable());

const measuredRowSchema = z.object({
  /** Of the model trained on the data set, as in the judgments. */
  model: z.string(),
  measures: numbers,
  /** Beside those that were judged here. */
  scores: numbers.default({}),
});
export type MeasuredRow = z.infer<typeof measuredRowSchema>;

/** JSON Lines, or one JSON array. Throws an Error naming file and row. */
export async function readMeasuredRows(path: string): Promise<MeasuredRow[]> {
  const text = await readFile(path, "utf8").catch(() => {
    throw new Error(`${path} cannot be read.`);
  });
  if (!text.trimStart().startsWith("[")) return parseRows(path, text, measuredRowSchema);
  const rows = z.array(z.unknown()).parse(JSON.parse(text));
  return parseRows(path, rows.map((row) => JSON.stringify(row)).join("\n"), measuredRowSchema);
}

export interface Correlations {
  readonly measures: readonly string[];
  readonly scores: readonly string[];
  readonly pearson: Readonly<Record<string, Readonly<Record<string, Correlation>>>>;
  readonly spearman: Readonly<Record<string, Readonly<Record<string, Correlation>>>>;
}

/** Every measure against every score; `judged` gives scores by model, under names of their own. */
export function correlateRows(
  rows: readonly MeasuredRow[],
  judged: ReadonlyMap<string, Readonly<Record<string, number | null>>>,
): Correlations {
  const scoresOfRow = rows.map(({ model, scores }) => ({ ...judged.get(model), ...scores }));
  const measures = [...new Set(rows.flatMap((row) => Object.keys(row.measures)))];
  const scores = [...new Set(scoresOfRow.flatMap((row) => Object.keys(row)))];
  const xs = Object.fromEntries(measures.map((name) => [name, rows.map((row) => row.measures[name] ?? null)]));
  const ys = Object.fromEntries(scores.map((name) => [name, scoresOfRow.map((row) => row[name] ?? null)]));
  return {
    measures,
    scores,
    pearson: correlationMatrix(xs, ys, pearson),
    spearman: correlationMatrix(xs, ys, spearman),
  };
}
