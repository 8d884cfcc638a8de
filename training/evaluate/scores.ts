// Owns what is counted from pointwise judgments: means by turn and by category, with what could not be read left out.
// It knows neither judges nor plots.
import type { Question } from "./question-set.ts";
import { unreadable } from "./verdict.ts";

/** What of a judgment is counted. */
export interface Rating {
  readonly question_id: number;
  readonly turn: number;
  readonly score: number;
}

interface MeanScore {
  /** null where there is none. */
  readonly mean: number | null;
  readonly n: number;
}

export interface ModelScores {
  /** The mean over all ratings, both turns alike. */
  readonly all: MeanScore;
  readonly turn1: MeanScore;
  readonly turn2: MeanScore;
  /** In the order in which the question set first names them. */
  readonly byCategory: ReadonlyMap<string, MeanScore>;
  /** Ratings that could not be read. */
  readonly unreadable: number;
}

/** Of one model's judgments by one judge. Throws an Error for a question that is not in the set. */
export function scoresOf(ratings: readonly Rating[], questions: readonly Question[]): ModelScores {
  const categoryOf = new Map(questions.map(({ question_id: id, category }) => [id, category]));
  const stranger = ratings.find((rating) => !categoryOf.has(rating.question_id));
  if (stranger !== undefined) throw new Error(`Question ${stranger.question_id} was judged, but is not in the set.`);
  const read = ratings.filter(({ score }) => score !== unreadable);
  const meanIn = (category: string) => meanOf(read.filter((rating) => categoryOf.get(rating.question_id) === category));
  return {
    all: meanOf(read),
    turn1: meanOf(read.filter(({ turn }) => turn === 1)),
    turn2: meanOf(read.filter(({ turn }) => turn === 2)),
    byCategory: new Map([...new Set(categoryOf.values())].map((category) => [category, meanIn(category)])),
    unreadable: ratings.length - read.length,
  };
}

function meanOf(ratings: readonly Rating[]): MeanScore {
  const sum = ratings.reduce((total, { score }) => total + score, 0);
  return { mean: ratings.length === 0 ? null : sum / ratings.length, n: ratings.length };
}
