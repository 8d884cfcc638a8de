import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Winner } from "../../../training/evaluate/judgment-file.ts";
import { scoresOf } from "../../../training/evaluate/scores.ts";
import { parseRating, parseVerdict } from "../../../training/evaluate/verdict.ts";
import { tallyPairs } from "../../../training/evaluate/win-rate.ts";

describe("a rating is", () => {
  it.each([
    ["Rating: [[7]]", 7],
    ["Rating: [[8.5]]", 8.5],
    ["[3] is the note; Rating: [[9]]", 9],
    ["Rating: [6]", 6],
    ["first [[2]], then [[9]]", 2],
    ["Rating: 7", -1],
    ["Rating: [[rating]]", -1],
    ["[[0]]", -1],
    ["[[11]]", -1],
    ["", -1],
  ])("%j: %d", (reply, rating) => expect(parseRating(reply)).toBe(rating));

  it("in no mean where it cannot be read", () => {
    const questions = [{ question_id: 1, category: "math", turns: ["?", "??"] }];
    const ratings = [
      { question_id: 1, turn: 1, score: 4 },
      { question_id: 1, turn: 2, score: -1 },
    ];
    expect(scoresOf(ratings, questions)).toEqual({
      all: { mean: 4, n: 1 },
      turn1: { mean: 4, n: 1 },
      turn2: { mean: null, n: 0 },
      byCategory: new Map([["math", { mean: 4, n: 1 }]]),
      unreadable: 1,
    });
    expect(() => scoresOf([{ question_id: 2, turn: 1, score: 4 }], questions)).toThrow("Question 2 was judged");
  });
});

describe("a verdict is", () => {
  it.each([
    ["So: [[A]]", "A"],
    ["[[B]] it is, [[B]]", "B"],
    ["[[C]]", "tie"],
    ["[[A]] or [[B]]", "error"],
    ["A", "error"],
    ["[A]", "error"],
  ])("%j: %s", (reply, verdict) => expect(parseVerdict(reply)).toBe(verdict));
});

const outcome = (one: Winner, two: Winner) => ({ g1_winner: one, g2_winner: two });

describe("pairs", () => {
  it("are won only where both orders agree, tied otherwise, dropped where one cannot be read", () => {
    const outcomes = [
      outcome("model_1", "model_1"),
      outcome("model_2", "model_2"),
      outcome("model_2", "model_2"),
      outcome("model_1", "model_2"),
      outcome("model_1", "tie"),
      outcome("tie", "tie"),
      outcome("error", "model_1"),
      outcome("tie", "error"),
    ];
    expect(tallyPairs(outcomes)).toEqual({ win: 1, loss: 2, tie: 3, dropped: 2, adjustedWinRate: 2.5 / 6 });
    expect(tallyPairs([]).adjustedWinRate).toBeNull();
  });

  it("seen from the other side have the complementary rate", () => {
    const winner = fc.constantFrom<Winner>("model_1", "model_2", "tie", "error");
    const swap: Readonly<Record<Winner, Winner>> = {
      model_1: "model_2",
      model_2: "model_1",
      tie: "tie",
      error: "error",
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(winner, winner)), (pairs) => {
        const mine = tallyPairs(pairs.map(([one, two]) => outcome(one, two)));
        const theirs = tallyPairs(pairs.map(([one, two]) => outcome(swap[one], swap[two])));
        expect(theirs).toMatchObject({ win: mine.loss, loss: mine.win, tie: mine.tie, dropped: mine.dropped });
        if (mine.adjustedWinRate === null) return;
        expect(mine.adjustedWinRate + theirs.adjustedWinRate!).toBeCloseTo(1, 12);
      }),
    );
  });
});
