// Owns what a bench comes to: for each judge the scores of every model, and for each pair who won, from judgment files.
// Judges are never mixed. It knows neither text nor plots.
import type { PairJudgment, SingleJudgment } from "./judgment-file.ts";
import type { Question } from "./question-set.ts";
import { type ModelScores, scoresOf } from "./scores.ts";
import { type PairTally, tallyPairs } from "./win-rate.ts";

interface ScoredModel extends ModelScores {
  readonly model: string;
}

interface JudgedPair extends PairTally {
  readonly model1: string;
  readonly model2: string;
}

export interface JudgeReport {
  readonly judge: string;
  /** Best first. */
  readonly models: readonly ScoredModel[];
  readonly pairs: readonly JudgedPair[];
}

/** One report a judge, in the order in which they first come. Throws an Error for questions that are not in the set. */
export function benchReports(
  questions: readonly Question[],
  singles: readonly SingleJudgment[],
  pairs: readonly PairJudgment[],
): JudgeReport[] {
  const judges = [...new Set([...singles, ...pairs].map((row) => row.judge[0]))];
  return judges.map((judge) => {
    const rated = Map.groupBy(
      singles.filter((row) => row.judge[0] === judge),
      ({ model }) => model,
    );
    const compared = Map.groupBy(
      pairs.filter((row) => row.judge[0] === judge),
      (row) => JSON.stringify([row.model_1, row.model_2]),
    );
    const models = Array.from(rated, ([model, rows]) => ({ model, ...scoresOf(rows, questions) }));
    return {
      judge,
      models: models.toSorted((a, b) => (b.all.mean ?? 0) - (a.all.mean ?? 0)),
      pairs: Array.from(compared.values(), (rows) => ({
        model1: rows[0]!.model_1,
        model2: rows[0]!.model_2,
        ...tallyPairs(rows),
      })),
    };
  });
}
