// Owns setting Table 5 against scores of models that were trained on the data sets: reading the scores, and both correlations.
// It does not know how data sets or models were measured.
import { z } from "zod";
import type { Correlation } from "../measures/correlation.ts";
import { correlateTable5, table5Columns } from "../measures/table5.ts";
import type { NamedRow } from "./paper-rows.ts";

const fileSchema = z
  .record(z.string(), z.record(z.string(), z.number().nullable()))
  .refine((scores) => Object.keys(scores).length > 0, { error: "has no scores" });

/** By the score's name and the row's name. */
export type Scores = z.infer<typeof fileSchema>;

export interface CorrelationLine {
  readonly column: (typeof table5Columns)[number];
  readonly score: string;
  readonly pearson: Correlation;
  readonly spearman: Correlation;
}

/** Throws an Error that names the file and the field. */
export function readScores(file: string, content: string): Scores {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    throw new Error(`${file} is not JSON.`);
  }
  const parsed = fileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue === undefined || issue.path.length === 0 ? "" : `, field "${issue.path.join(".")}"`;
  throw new Error(
    `${file}${field}: ${issue?.message ?? "unreadable"}. Needed: {"score": {"row of the table": number or null}}.`,
  );
}

/** Every column against every score. A row without a score is left out, a score without a row is an Error. */
export function correlateRows(rows: readonly NamedRow[], scores: Scores): CorrelationLine[] {
  const names = rows.map(({ name }) => name);
  for (const [score, byRow] of Object.entries(scores)) {
    const unknown = Object.keys(byRow).find((name) => !names.includes(name));
    if (unknown !== undefined) {
      throw new Error(`Score "${score}" names "${unknown}", which is no row of the table: ${names.join(", ")}.`);
    }
  }
  const columns = Object.fromEntries(
    Object.entries(scores).map(([score, byRow]) => [score, names.map((name) => byRow[name] ?? null)]),
  );
  const linear = correlateTable5(rows, columns, "pearson");
  const ranked = correlateTable5(rows, columns, "spearman");
  return table5Columns.flatMap((column) =>
    Object.keys(columns).flatMap((score) => {
      const [pearson, spearman] = [linear[column][score], ranked[column][score]];
      return pearson === undefined || spearman === undefined ? [] : [{ column, score, pearson, spearman }];
    }),
  );
}
