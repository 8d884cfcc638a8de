import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readAnswers } from "../../../training/evaluate/answer-file.ts";
import { benchReports } from "../../../training/evaluate/bench-report.ts";
import { readRows } from "../../../training/evaluate/json-lines.ts";
import { fillPrompt, readJudgePrompts } from "../../../training/evaluate/judge-prompts.ts";
import { singleSchema } from "../../../training/evaluate/judgment-file.ts";
import { correlateRows } from "../../../training/evaluate/measured-rows.ts";
import { judgePromptFile, readQuestionSet } from "../../../training/evaluate/question-set.ts";
import { reviewSchema, tallyReviews } from "../../../training/evaluate/reviews.ts";
import { type ModelScores, scoresOf } from "../../../training/evaluate/scores.ts";
import { parseRating } from "../../../training/evaluate/verdict.ts";
import { adjustedWinRate } from "../../../training/evaluate/win-rate.ts";

const fixtures = join(import.meta.dirname, "../../fixtures/evaluation");
const fixture = (name: string): unknown => JSON.parse(readFileSync(join(fixtures, name), "utf8"));
/** The whole files, where they are at hand. */
const shared = join(import.meta.dirname, "../../../../shared/data/eval");
const hasShared = existsSync(shared);

interface Expected {
  readonly rows: number;
  readonly unparsed: number;
  readonly average: number;
  readonly first_turn: number;
  readonly second_turn: number;
  readonly by_category: Readonly<Record<string, number>>;
}
const expectedScores = fixture("mt-bench-expected.json") as Record<string, Expected>;
const { questions, references } = await readQuestionSet("mt-bench", null);

const rounded = (mean: number | null): number => Number(mean?.toFixed(6));

/** In the shape of the recorded averages. */
const averagesOf = ({ all, turn1, turn2, byCategory, unreadable }: ModelScores): Expected => ({
  rows: all.n + unreadable,
  unparsed: unreadable,
  average: rounded(all.mean),
  first_turn: rounded(turn1.mean),
  second_turn: rounded(turn2.mean),
  by_category: Object.fromEntries(Array.from(byCategory, ([category, { mean }]) => [category, rounded(mean)])),
});

describe("MT-Bench ratings of gpt-4 give the recorded averages", () => {
  const ratings = fixture("mt-bench-ratings.json") as Record<string, [number, number, number][]>;
  const scoresFor = (model: string) =>
    scoresOf(
      (ratings[model] ?? []).map(([id, turn, score]) => ({ question_id: id, turn, score })),
      questions,
    );

  it("6.328125 for PlatoLM-7b-v1.0, the paper's 6.33", () => {
    const { all, turn1, turn2 } = scoresFor("PlatoLM-7b-v1.0");
    expect(all).toEqual({ mean: 6.328125, n: 160 });
    expect(turn1).toEqual({ mean: 6.74375, n: 80 });
    expect(turn2).toEqual({ mean: 5.9125, n: 80 });
  });

  it.each(Object.entries(expectedScores))("of %s, by turn and by category", (model, expected) => {
    expect(expected).toMatchObject(averagesOf(scoresFor(model)));
    expect(scoresFor(model).byCategory.size).toBe(8);
  });
});

it("recorded judgments are read as they were, and had the prompts that this fills in", async () => {
  const prompts = await readJudgePrompts(judgePromptFile);
  const lines = readFileSync(join(fixtures, "gpt-4-judgments.jsonl"), "utf8").trim().split("\n");
  const rows = lines.map((line) => JSON.parse(line) as { answers: string[] } & Record<string, unknown>);
  const judgments = await readRows(join(fixtures, "gpt-4-judgments.jsonl"), singleSchema);
  expect(judgments.map(({ judge }) => judge[1])).toEqual([
    "single-v1",
    "single-math-v1",
    "single-v1-multi-turn",
    "single-math-v1-multi-turn",
  ]);
  for (const [index, { question_id: id, turn, judge, user_prompt: user, judgment, score }] of judgments.entries()) {
    const question = questions.find((candidate) => candidate.question_id === id)!;
    const filled = fillPrompt(prompts, {
      category: question.category,
      questions: question.turns,
      answers: [rows[index]!.answers],
      reference: references.get(id) ?? null,
      turn,
    });
    expect(filled).toMatchObject({ name: judge[1], user });
    expect(parseRating(judgment)).toBe(score);
  }
});

it.runIf(hasShared)("all 640 recorded judgments have our prompts and our ratings", async () => {
  const prompts = await readJudgePrompts(judgePromptFile);
  const judgments = await readRows(join(shared, "mt-bench/model_judgment/gpt-4_single.jsonl.gz"), singleSchema);
  expect(judgments).toHaveLength(640);
  const byId = new Map(questions.map((question) => [question.question_id, question]));
  const names = [...new Set(judgments.map(({ model }) => model))];
  const answers = new Map(
    await Promise.all(
      names.map(
        async (name) => [name, await readAnswers(join(shared, `mt-bench/model_answer/${name}.jsonl.gz`))] as const,
      ),
    ),
  );
  let isSame = 0;
  for (const { model, question_id: id, turn, judge, user_prompt: user, judgment, score } of judgments) {
    expect(parseRating(judgment)).toBe(score);
    const question = byId.get(id)!;
    const filled = fillPrompt(prompts, {
      category: question.category,
      questions: question.turns,
      answers: [answers.get(model)?.turns.get(id) ?? []],
      reference: references.get(id) ?? null,
      turn,
    });
    expect(filled.name).toBe(judge[1]);
    if (filled.user === user) isSame += 1;
  }
  // The others were judged with answers that are not the ones in the file: mistral-orpo's second run, and 5 of PlatoLM's.
  expect(isSame).toBe(475);
  for (const { model, ...scores } of benchReports(questions, judgments, [])[0]!.models) {
    expect(expectedScores[model]).toMatchObject(averagesOf(scores));
  }
});

interface ExpectedTotals {
  readonly rows: number;
  readonly total_assistant1: number;
  readonly total_assistant2: number;
  readonly assistant2_win: number;
  readonly tie: number;
  readonly loss: number;
}
const expectedTotals = fixture("vicuna-expected.json") as Record<string, ExpectedTotals>;
const toTally = (expected: ExpectedTotals) => ({
  n: expected.rows,
  total1: expected.total_assistant1,
  total2: expected.total_assistant2,
  win2: expected.assistant2_win,
  tie: expected.tie,
  loss2: expected.loss,
});

describe("Vicuna's reviews add up to the totals published with it", () => {
  const marks = fixture("vicuna-reviews.json") as Record<string, [number, number, number][]>;
  const tallyOf = (file: string) =>
    tallyReviews(
      file,
      (marks[file] ?? []).map(([id, one, two]) => ({ question_id: id, score: [one, two] as [number, number] })),
    );

  it.each([
    ["llama-13b", 513, 694],
    ["alpaca-13b", 583, 704],
    ["bard", 664, 655.5],
    ["gpt35", 693, 638],
  ])("%s %d, Vicuna %d", (other, total1, total2) => {
    const file = `vicuna-13b_20230322-clean-lang/review_${other}_vicuna-13b.jsonl`;
    expect(tallyOf(file)).toMatchObject({ total1, total2, n: 80 });
  });

  it.each(Object.entries(expectedTotals))("%s", (file, expected) => {
    expect(tallyOf(file)).toMatchObject(toTally(expected));
  });

  it.runIf(hasShared)("from the raw files", async () => {
    const folder = join(shared, "vicuna-blog/review");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".gz"));
    expect(files).toHaveLength(9);
    for (const file of files) {
      const tally = tallyReviews(file, await readRows(join(folder, file), reviewSchema));
      expect(tally).toMatchObject(toTally(expectedTotals[file.replace(/\.gz$/, "")]!));
    }
  });
});

describe("adjusted win rates are the paper's", () => {
  it("from its counts: 60.63 % on Vicuna-Bench; 54.38 % on MT-Bench, where it prints 54.35", () => {
    expect(adjustedWinRate({ win: 37, loss: 20, tie: 23 })! * 100).toBeCloseTo(60.625, 10);
    expect(adjustedWinRate({ win: 52, loss: 38, tie: 70 })! * 100).toBeCloseTo(54.375, 10);
  });

  it.each([
    [66.56, 160],
    [71.56, 160],
    [80.63, 80],
    [96.25, 80],
  ])("%d %% of %d is a number of half wins", (printed, n) => {
    const halves = Math.round((printed / 100) * n * 2);
    const rates = Array.from({ length: Math.floor(halves / 2) + 1 }, (_, win) => {
      const tie = halves - 2 * win;
      return win + tie <= n ? adjustedWinRate({ win, tie, loss: n - win - tie }) : null;
    }).filter((rate) => rate !== null);
    expect(rates.length).toBeGreaterThan(0);
    for (const rate of rates) expect((rate * 100).toFixed(2).slice(0, 4)).toBe(printed.toFixed(2).slice(0, 4));
    for (const rate of rates) expect(Math.abs(rate * 100 - printed)).toBeLessThanOrEqual(0.0051);
  });
});

// RealChat, with Dolly seeds, with WizardLM seeds, Baize, UltraChat, ShareGPT.
const columns: Readonly<Record<string, readonly number[]>> = {
  turns: [5.39, 8.3, 3.79, 3.79, 3.85, 3.07],
  "session tokens": [2182.94, 2003.11, 2112.26, 264.12, 1441.99, 1136.71],
  "utterance tokens": [202.55, 120.53, 278.81, 34.56, 187.24, 185.15],
  "mean cosine": [0.7078, 0.7002, 0.714, 0.719, 0.7158, 0.7016],
  MTLD: [31.65, 28.79, 57.75, 28.33, 76.46, 35.54],
  "human ratio": [0.6727, 0.5456, 0.3653, 0.1758, 0.1157, 0.8358],
  complexity: [8.57, 8.5243, 9.0068, 7.8042, 8.4256, 7.9171],
  relevancy: [9.5992, 9.6778, 9.741, 9.3981, 9.5607, 9.2101],
  logicality: [9.8088, 9.857, 9.8837, 9.7702, 9.816, 9.6184],
};
const scores: Readonly<Record<string, readonly number[]>> = {
  "vicuna-bench": [8.3438, 8.2625, 8.0813, 4.6375, 7.7188, 8.2375],
  "mt-bench, turn 1": [5.9938, 5.9875, 5.7313, 4.0125, 5.1188, 6.3688],
  "mt-bench, turn 2": [4.6875, 4.8, 4.4, 3.8875, 4.2625, 5.5125],
  "mt-bench": [5.3406, 5.3937, 5.0656, 3.95, 4.6906, 5.9406],
};
const rowsOf = (table: Readonly<Record<string, readonly number[]>>, index: number) =>
  Object.fromEntries(Object.entries(table).map(([name, values]) => [name, values[index]!]));

describe("Pearson of the measures of six data sets with the scores of models trained on them", () => {
  const names = ["realchat", "dolly", "wizardlm", "baize", "ultrachat", "sharegpt"];
  // Half of the scores from the rows, half as if they had been judged.
  const rows = names.map((model, index) => ({
    model,
    measures: rowsOf(columns, index),
    scores: { "vicuna-bench": scores["vicuna-bench"]![index]! },
  }));
  const judged = new Map(
    names.map((model, index) => {
      const { "vicuna-bench": _, ...rest } = rowsOf(scores, index);
      return [model, rest];
    }),
  );
  const { pearson } = correlateRows(rows, judged);

  it.each([
    ["turns", 0.2897, 0.2618, 0.0769, 0.1947],
    ["session tokens", 0.8531, 0.7151, 0.295, 0.5663],
    ["utterance tokens", 0.7648, 0.6394, 0.3293, 0.533],
    ["mean cosine", -0.6715, -0.8383, -0.8812, -0.8815],
    ["MTLD", 0.225, -0.078, -0.2639, -0.156],
    ["human ratio", 0.5906, 0.8328, 0.9098, 0.8897],
    ["complexity", 0.6062, 0.3921, -0.0868, 0.2096],
    ["relevancy", 0.3127, 0.0734, -0.3951, -0.1147],
    ["logicality", 0.0835, -0.1658, -0.5938, -0.3448],
  ])("%s", (measure, ...expected) => {
    const found = Object.keys(scores).map((score) => pearson[measure]?.[score]);
    expect(found.map((cell) => cell?.r?.toFixed(4))).toEqual(expected.map((r) => r.toFixed(4)));
    expect(found.every((cell) => cell?.n === 6)).toBe(true);
  });
});
