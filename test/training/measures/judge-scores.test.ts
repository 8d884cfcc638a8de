import { expect, it } from "vitest";
import { JudgeScores, type Judgement } from "../../../training/measures/judge-scores.ts";
import { likelihoodOf, Perplexity } from "../../../training/measures/perplexity.ts";

const judged = (dialogueId: string, complexity: number, judge = "judge a", seed = 0): Judgement => ({
  judge,
  dialogueId,
  seed,
  scores: { complexity },
  outcome: "scored",
});

it("marks are averaged by judge and criterion, never over judges", () => {
  const scores = new JudgeScores();
  scores.add({
    judge: "judge a",
    dialogueId: "1",
    seed: 0,
    scores: { complexity: 8, relevancy: 10 },
    outcome: "scored",
  });
  scores.add(judged("2", 5));
  scores.add(judged("1", 2, "judge b"));
  const [a, b] = scores.summaries();
  expect(a).toEqual({
    judge: "judge a",
    scored: 2,
    skipped: 0,
    failed: 0,
    criteria: {
      complexity: { n: 2, mean: 6.5, disagreement: null, judgedTwice: 0 },
      relevancy: { n: 1, mean: 10, disagreement: null, judgedTwice: 0 },
    },
  });
  expect(b).toMatchObject({ judge: "judge b", criteria: { complexity: { n: 1, mean: 2 } } });
});

it("a second mark of the same dialogue shows how steady the judge is and leaves the mean alone", () => {
  const scores = new JudgeScores();
  for (const [seed, mark] of [8, 6, 1].entries()) scores.add(judged("1", mark, "judge a", seed));
  // Read back from the store, it is the same mark again.
  scores.add(judged("1", 8));
  scores.add(judged("2", 4));
  expect(scores.summaries()[0]?.criteria["complexity"]).toEqual({ n: 2, mean: 6, disagreement: 2, judgedTwice: 1 });
});

it("sessions that were skipped or failed are counted and not averaged", () => {
  const scores = new JudgeScores();
  scores.add({ judge: "j", dialogueId: "1", seed: 0, scores: null, outcome: "skipped" });
  scores.add({ judge: "j", dialogueId: "2", seed: 0, scores: null, outcome: "failed" });
  expect(scores.summaries()).toEqual([{ judge: "j", scored: 0, skipped: 1, failed: 1, criteria: {} }]);
});

it("perplexity is over tokens, not over turns", () => {
  const perplexity = new Perplexity();
  expect(perplexity.snapshot()).toEqual({ value: null, tokens: 0, turns: 0 });
  perplexity.add(likelihoodOf([Math.log(1 / 2), Math.log(1 / 2), Math.log(1 / 2)]));
  perplexity.add(likelihoodOf([Math.log(1 / 16)]));
  const { value, tokens, turns } = perplexity.snapshot();
  expect({ tokens, turns }).toEqual({ tokens: 4, turns: 2 });
  expect(value).toBeCloseTo(2 ** (7 / 4), 12);
});

it("what is no log-probability is refused", () => {
  expect(() => likelihoodOf([-1, 0.5])).toThrow("The log-probability of token 1 is 0.5; it must be a finite number");
  expect(() => likelihoodOf([Number.NEGATIVE_INFINITY])).toThrow("token 0 is -Infinity");
});
