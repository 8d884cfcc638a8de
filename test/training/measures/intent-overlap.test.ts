import { expect, it } from "vitest";
import { IntentOverlap } from "../../../training/measures/intent-overlap.ts";

const intent = "You are a user who wants to repair an old bicycle chain.";

it("is the share of a question's different content words that stand in the intent, the first turn apart from later ones", () => {
  const overlap = new IntentOverlap();
  // repair, bicycle of repair, bicycle, squeaks; then bicycle of bicycle, oil, shop, twice the same word counting once.
  overlap.add(intent, ["How do I repair my bicycle? It squeaks.", "Which oil, oil from the bicycle shop?"]);
  const { dialogues, firstTurn, laterTurns, byTurn } = overlap.snapshot();
  expect([dialogues, firstTurn.mean, laterTurns.mean]).toEqual([1, 2 / 3, 1 / 3]);
  expect(byTurn).toEqual([
    { turn: 1, n: 1, mean: 2 / 3 },
    { turn: 2, n: 1, mean: 1 / 3 },
  ]);
});

it("leaves out questions without a content word, and counts all from the tenth on as one", () => {
  const overlap = new IntentOverlap();
  overlap.add(intent, ["hello", ...Array.from({ length: 11 }, () => "bicycle")]);
  const { firstTurn, laterTurns, byTurn } = overlap.snapshot();
  expect([firstTurn.n, firstTurn.mean, laterTurns.n]).toEqual([0, null, 11]);
  expect(byTurn).toHaveLength(10);
  expect(byTurn.at(-1)).toEqual({ turn: 10, n: 3, mean: 1 });
});

it("reciting the intent is 1, and another subject 0", () => {
  const overlap = new IntentOverlap();
  overlap.add(intent, [intent, "volcanoes erupt"]);
  const { firstTurn, laterTurns } = overlap.snapshot();
  expect([firstTurn.mean, laterTurns.mean]).toEqual([1, 0]);
});
