// Owns fitting the human-likeness classifier: real questions against simulated ones, of like subjects and lengths, held out by source.
// Logistic regression by stochastic gradient descent; the same samples always give the same model. It reads no files.
import { GRAM_DIMENSIONS, humanFeatures, styleNames } from "./human-features.ts";
import type { HumanFeatures } from "./human-features.ts";
import { hashText, mix32 } from "./hashing.ts";
import { score } from "./human-likeness.ts";
import type { HumanLikenessModel } from "./human-likeness.ts";
import { plainWords } from "./words.ts";

export interface LabelledQuestion {
  readonly text: string;
  readonly isHuman: boolean;
  /** Where it comes from (a dialogue, a person, a data file): one source is never both fitted on and held out. */
  readonly source: string;
  /** What it is about; where questions have one, as many of each kind are taken of every subject. */
  readonly subject?: string;
}

/** How well a classifier does on questions of both kinds. */
export interface LikenessFigures {
  readonly human: number;
  readonly simulated: number;
  readonly auc: number;
  readonly ceiling: number;
  readonly floor: number;
}

const EPOCHS = 12;
const RATE = 3;
const DECAY = 1e-5;
/** One source in this many is held out. */
const HOLD_OUT = 5;
/** Fewer than this of a kind say nothing. */
const MIN_PER_CLASS = 20;

/** Fits and measures a classifier. Throws when a side has fewer than 20 questions left after matching their lengths. */
export function trainHumanLikeness(name: string, questions: readonly LabelledQuestion[]): HumanLikenessModel {
  const { fitted, heldOut, isSplitBySource } = splitQuestions(questions);
  const trainedOn = countClasses(fitted);
  const left = countClasses(heldOut);
  for (const kind of ["human", "simulated"] as const) {
    if (trainedOn[kind] + left[kind] >= MIN_PER_CLASS && left[kind] > 0 && trainedOn[kind] > 0) continue;
    throw new Error(
      `Too few ${kind} questions: ${trainedOn[kind]} to fit on and ${left[kind]} to test on are left after matching ` +
        `lengths; at least ${MIN_PER_CLASS} from several sources are needed.`,
    );
  }
  const weights = fit(fitted.map(({ text, isHuman }) => ({ features: humanFeatures(text), isHuman })));
  const { auc, ceiling, floor } = measureLikeness(weights, heldOut);
  return { weights, report: { name, trainedOn, heldOut: left, isSplitBySource, auc, ceiling, floor } };
}

interface SplitQuestions {
  readonly fitted: readonly LabelledQuestion[];
  readonly heldOut: readonly LabelledQuestion[];
  readonly isSplitBySource: boolean;
}

/** What a classifier is fitted on and what it is measured on: subjects and lengths matched, sources kept together. */
export function splitQuestions(questions: readonly LabelledQuestion[]): SplitQuestions {
  const matched = matchLengths(questions.filter(({ text }) => text.trim() !== ""));
  const isSplitBySource = [true, false].every(
    (isHuman) =>
      new Set(matched.filter((question) => question.isHuman === isHuman).map(({ source }) => source)).size >= HOLD_OUT,
  );
  const isHeldOut = ({ text, source }: LabelledQuestion): boolean =>
    hashText(isSplitBySource ? `source ${source}` : `text ${text}`) % HOLD_OUT === 0;
  const heldOut = matched.filter(isHeldOut);
  const fitted = matched.filter((question) => !isHeldOut(question));
  return { fitted, heldOut, isSplitBySource };
}

/** A classifier's figures on questions that it was not fitted on. */
export function measureLikeness(
  weights: HumanLikenessModel["weights"],
  questions: readonly LabelledQuestion[],
): LikenessFigures {
  const scores = { human: [] as number[], simulated: [] as number[] };
  for (const { text, isHuman } of questions) {
    scores[isHuman ? "human" : "simulated"].push(score(weights, humanFeatures(text)));
  }
  const { human, simulated } = scores;
  return {
    human: human.length,
    simulated: simulated.length,
    auc: areaUnderCurve(human, simulated),
    ceiling: shareOver(human),
    floor: shareOver(simulated),
  };
}

/** As many of each kind for every subject and length (in doublings of the number of words): neither alone tells anything. */
export function matchLengths(questions: readonly LabelledQuestion[]): LabelledQuestion[] {
  const groups = Map.groupBy(questions, ({ text, subject = "" }) => `${lengthOf(text)} ${subject}`);
  return [...groups.values()].flatMap((group) => {
    const sorted = group
      .map((question) => ({ question, rank: hashText(question.text) }))
      .toSorted((a, b) => a.rank - b.rank)
      .map(({ question }) => question);
    const human = sorted.filter(({ isHuman }) => isHuman);
    const simulated = sorted.filter(({ isHuman }) => !isHuman);
    const count = Math.min(human.length, simulated.length);
    return human.slice(0, count).concat(simulated.slice(0, count));
  });
}

function lengthOf(text: string): number {
  return Math.ceil(Math.log2(plainWords(text).length + 1));
}

/** Probability that a positive scores above a negative, ties counting half. 0.5 is chance. */
export function areaUnderCurve(positives: readonly number[], negatives: readonly number[]): number {
  const all = [
    ...positives.map((value) => ({ value, isPositive: true })),
    ...negatives.map((value) => ({ value, isPositive: false })),
  ].toSorted((a, b) => a.value - b.value);
  let wins = 0;
  let below = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    while (end < all.length && all[end]!.value === all[start]!.value) end += 1;
    const tied = all.slice(start, end);
    const tiedPositives = tied.filter(({ isPositive }) => isPositive).length;
    const tiedNegatives = tied.length - tiedPositives;
    wins += tiedPositives * (below + tiedNegatives / 2);
    below += tiedNegatives;
    start = end;
  }
  return wins / (positives.length * negatives.length);
}

interface Sample {
  readonly features: HumanFeatures;
  readonly isHuman: boolean;
}

function fit(samples: readonly Sample[]): HumanLikenessModel["weights"] {
  const grams = new Float32Array(GRAM_DIMENSIONS);
  const styles = new Float64Array(styleNames.length);
  let bias = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
    const rate = RATE / (1 + epoch);
    for (const { features, isHuman } of shuffled(samples, epoch)) {
      const error = (isHuman ? 1 : 0) - 1 / (1 + Math.exp(-score({ grams, styles, bias }, features)));
      const step = rate * error;
      for (const dimension of features.grams) {
        grams[dimension]! += step * features.gramValue - rate * DECAY * grams[dimension]!;
      }
      for (let index = 0; index < styles.length; index += 1) {
        styles[index]! += 0.1 * step * features.styles[index]! - rate * DECAY * styles[index]!;
      }
      bias += 0.1 * step;
    }
  }
  return { grams, styles, bias };
}

function shuffled(samples: readonly Sample[], epoch: number): Sample[] {
  return samples
    .map((sample, index) => ({ sample, key: mix32(index * 0x9e3779b1 + epoch + 1) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ sample }) => sample);
}

function countClasses(questions: readonly LabelledQuestion[]): { human: number; simulated: number } {
  const human = questions.filter(({ isHuman }) => isHuman).length;
  return { human, simulated: questions.length - human };
}

function shareOver(scores: readonly number[]): number {
  return scores.filter((value) => value >= 0).length / scores.length;
}
