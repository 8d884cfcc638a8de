// Owns the paper's Table 5: the line that a job's figures make, and how the lines of several data sets are set against scores.
// It does not know how the figures are measured.
import { correlationMatrix, pearson, spearman } from "./correlation.ts";
import type { Correlation } from "./correlation.ts";
import type { QualitySnapshot, Table5Row } from "./quality-types.ts";

/** The columns, as the paper orders them. */
export const table5Columns = [
  "turns",
  "sessionTokens",
  "utteranceTokens",
  "topicMeanCosine",
  "mtld",
  "humanRatio",
  "complexity",
  "relevancy",
  "logicality",
] as const;
type Table5Column = (typeof table5Columns)[number];

/** The line of one data set. Marks are filled only where a single judge gave them: those of two are not to be mixed. */
export function table5Of(figures: Omit<QualitySnapshot, "table5" | "alarms">): Table5Row {
  const { dialogues, turns, tokens, topic, mtld, humanLikeness, judges } = figures;
  const criteria = judges.length === 1 ? judges[0]?.criteria : undefined;
  return {
    dialogues: dialogues.kept,
    turns: turns.mean,
    sessionTokens: tokens.session.mean,
    utteranceTokens: tokens.utterance.mean,
    topicMeanCosine: topic.meanCosine,
    mtld: mtld.perQuestion,
    humanRatio: humanLikeness.ratio,
    complexity: criteria?.["complexity"]?.mean ?? null,
    relevancy: criteria?.["relevancy"]?.mean ?? null,
    logicality: criteria?.["logicality"]?.mean ?? null,
  };
}

/** Every column against every score of the models trained on the data sets; rows and scores in the same order. */
export function correlateTable5<Y extends string>(
  rows: readonly Table5Row[],
  scores: Readonly<Record<Y, readonly (number | null)[]>>,
  method: "pearson" | "spearman" = "pearson",
): Record<Table5Column, Record<Y, Correlation>> {
  const columns = Object.fromEntries(table5Columns.map((name) => [name, rows.map((row) => row[name])]));
  return correlationMatrix(
    columns as Record<Table5Column, (number | null)[]>,
    scores,
    method === "pearson" ? pearson : spearman,
  );
}
