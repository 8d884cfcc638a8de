// Owns what a human-likeness classifier does where it was not fitted: on a simulator it never saw, on other people's questions.
// Held-out figures flatter; these say how far they carry.
import type { HumanLikenessModel } from "./human-likeness.ts";
import {
  type LabelledQuestion,
  type LikenessFigures,
  matchLengths,
  measureLikeness,
  splitQuestions,
  trainHumanLikeness,
} from "./human-training.ts";

export interface LikenessCheck extends LikenessFigures {
  readonly name: string;
}

/** One check a set of simulated questions: a classifier fitted on the others, measured on it and on people it did not see. */
export function checkUnseenSimulators(
  human: readonly LabelledQuestion[],
  simulated: ReadonlyMap<string, readonly LabelledQuestion[]>,
): LikenessCheck[] {
  if (simulated.size < 2) return [];
  return Array.from(simulated, ([name, left]) => {
    const others = Array.from(simulated, ([other, questions]) => (other === name ? [] : questions)).flat();
    const questions = [...human, ...others];
    const { weights } = trainHumanLikeness(name, questions);
    const people = splitQuestions(questions).heldOut.filter(({ isHuman }) => isHuman);
    return { name: `simulator left out: ${name}`, ...measureLikeness(weights, matchLengths([...people, ...left])) };
  });
}

/** A classifier on other questions; where none of them is simulated, against the simulated ones held out from it. */
export function checkOnOthers(
  name: string,
  { weights }: HumanLikenessModel,
  fittedFrom: readonly LabelledQuestion[],
  others: readonly LabelledQuestion[],
): LikenessCheck {
  const hasBoth = others.some(({ isHuman }) => !isHuman);
  const simulated = hasBoth ? [] : splitQuestions(fittedFrom).heldOut.filter(({ isHuman }) => !isHuman);
  // Other people talk of other things: only lengths can be matched.
  const questions = [...others, ...simulated].map(({ text, isHuman, source }) => ({ text, isHuman, source }));
  return { name, ...measureLikeness(weights, matchLengths(questions)) };
}
