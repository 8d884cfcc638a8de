import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { EngineError } from "../../../runtime/errors.ts";
import { answerQuestions } from "../../../training/evaluate/answer.ts";
import { answerSchema, readAnswers } from "../../../training/evaluate/answer-file.ts";
import { BenchFolder } from "../../../training/evaluate/bench-folder.ts";
import { openRowLog, readRows } from "../../../training/evaluate/json-lines.ts";
import { fillPrompt, readJudgePrompts } from "../../../training/evaluate/judge-prompts.ts";
import { pairSchema, singleSchema } from "../../../training/evaluate/judgment-file.ts";
import { judgePairwise, judgePointwise, type JudgingSetup } from "../../../training/evaluate/judging.ts";
import { judgePromptFile } from "../../../training/evaluate/question-set.ts";
import { openEndpoint } from "../../../training/judge/endpoint.ts";
import { type FakeAnswer, errorBody, refuses, slams, startFakeUpstream } from "../../support/fake-upstream.ts";
import { scriptedModel } from "../../support/scripted-model.ts";

const never = new AbortController().signal;
const prompts = await readJudgePrompts(judgePromptFile);
const questions = [
  { question_id: 1, category: "writing", turns: ["Write.", "Again."] },
  { question_id: 2, category: "math", turns: ["1+1?", "And 2+2?"] },
];
const questionSet = { name: "mine", questions, references: new Map([[2, ["two", "four"]]]) };
const answersOf = (modelId: string, word: string) => ({
  modelId,
  turns: new Map(questions.map(({ question_id: id }) => [id, [`${word} ${id}.1`, `${word} ${id}.2`]])),
});
const realm = answersOf("realm", "first");
const other = answersOf("other", "second");

const replies =
  (content: string): FakeAnswer =>
  (response) =>
    void response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }] }));

const setupFor = (url: string): JudgingSetup => ({
  judge: openEndpoint({ baseUrl: url, model: "judge", apiKey: null, maxRetries: 2 }),
  judgeId: "judge",
  prompts,
  questionSet,
  maxTokens: 64,
  seed: 1,
  concurrency: 1,
  onProgress: () => {},
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "judging-"));
  return () => rm(folder, { recursive: true });
});
const singles = () => openRowLog(join(folder, "judge_single.jsonl"), singleSchema);
const pairs = () => openRowLog(join(folder, "judge_pair.jsonl"), pairSchema);

describe("a judge over HTTP rates", () => {
  it("each turn at temperature 0, asked again after what may pass; garbage is no rating, and is kept", async () => {
    const server = await startFakeUpstream(
      refuses(503, errorBody("busy")),
      slams,
      replies("Good. Rating: [[8]]"),
      replies("no idea"),
      replies("[[12]]"),
      replies("Rating: [3.5]"),
    );
    const log = await singles();
    const tally = await judgePointwise(setupFor(server.url), realm, log, never);
    await log.close();
    expect(tally).toEqual({ judged: 4, skipped: 0, unreadable: 2 });
    expect(server.requests).toHaveLength(6);
    expect(server.requests.every(({ body }) => body["temperature"] === 0)).toBe(true);
    const rows = await readRows(join(folder, "judge_single.jsonl"), singleSchema);
    expect(rows.map(({ question_id: id, turn, score, judgment, judge }) => [id, turn, score, judgment, judge])).toEqual(
      [
        [1, 1, 8, "Good. Rating: [[8]]", ["judge", "single-v1"]],
        [1, 2, -1, "no idea", ["judge", "single-v1-multi-turn"]],
        [2, 1, -1, "[[12]]", ["judge", "single-math-v1"]],
        [2, 2, 3.5, "Rating: [3.5]", ["judge", "single-math-v1-multi-turn"]],
      ],
    );
    expect(rows[1]?.user_prompt).toMatch(/Write\.[^]*first 1\.1[^]*Again\.[^]*first 1\.2/);
    expect(rows[3]?.user_prompt).toMatch(/two[^]*four[^]*first 2\.1[^]*first 2\.2/);
    expect(new Set(rows.map(({ prompt_hash: hash }) => hash)).size).toBe(4);
  });

  it("nothing twice, and not what has changed since", async () => {
    const server = await startFakeUpstream(replies("[[5]]"));
    const setup = setupFor(server.url);
    for (const skipped of [0, 4]) {
      const log = await singles();
      expect(await judgePointwise(setup, realm, log, never)).toEqual({ judged: 4 - skipped, skipped, unreadable: 0 });
      await log.close();
    }
    expect(server.requests).toHaveLength(4);
    const log = await singles();
    onTestFinished(() => log.close());
    await expect(judgePointwise(setup, answersOf("realm", "changed"), log, never)).rejects.toThrow(
      "Question 1, turn 1, of realm was judged by judge with another answer or another prompt",
    );
    const part = { modelId: "part", turns: new Map([[1, ["a", "b"]]]) };
    await expect(judgePointwise(setup, part, log, never)).rejects.toThrow(
      "part has not answered 1 of 2 questions of mine (2).",
    );
  });

  it("what is too long for it as unreadable; any other failure ends the run and keeps what was judged", async () => {
    const tooLong = refuses(400, errorBody("too long", "context_length_exceeded"));
    const server = await startFakeUpstream(
      tooLong,
      replies("[[5]]"),
      refuses(401, errorBody("no key")),
      replies("[[6]]"),
    );
    const first = await singles();
    await expect(judgePointwise(setupFor(server.url), realm, first, never)).rejects.toThrow("no key");
    await first.close();
    const second = await singles();
    expect(second.before.map(({ score, fault }) => [score, fault?.includes("too long")])).toEqual([
      [-1, true],
      [5, undefined],
    ]);
    expect(await judgePointwise(setupFor(server.url), realm, second, never)).toMatchObject({ judged: 2, skipped: 2 });
    await second.close();
  });
});

describe("a judge over HTTP compares", () => {
  it("both orders, and the winner is a model, not a place", async () => {
    const server = await startFakeUpstream(
      ...["[[A]]", "[[B]]", "[[A]]", "[[A]]", "[[C]]", "[[B]]", "[[A]]", "hm"].map((reply) => replies(reply)),
    );
    const log = await pairs();
    const tally = await judgePairwise(setupFor(server.url), realm, other, log, never);
    await log.close();
    expect(tally).toEqual({ judged: 4, skipped: 0, unreadable: 1 });
    const rows = await readRows(join(folder, "judge_pair.jsonl"), pairSchema);
    expect(rows.map(({ g1_winner: one, g2_winner: two }) => [one, two])).toEqual([
      ["model_1", "model_1"],
      ["model_1", "model_2"],
      ["tie", "model_1"],
      ["model_1", "error"],
    ]);
    expect(rows[0]?.g1_user_prompt).toMatch(/first 1\.1[^]*second 1\.1/);
    expect(rows[0]?.g2_user_prompt).toMatch(/second 1\.1[^]*first 1\.1/);
    expect(rows.map(({ judge }) => judge[1])).toEqual([
      "pair-v2",
      "pair-v2-multi-turn",
      "pair-math-v1",
      "pair-math-v1-multi-turn",
    ]);
    const again = await pairs();
    expect(await judgePairwise(setupFor(server.url), other, realm, again, never)).toMatchObject({ skipped: 4 });
    await again.close();
  });
});

describe("prompts", () => {
  it("take what a model wrote for text, never for a place", () => {
    const judged = {
      category: "writing",
      questions: ["{answer}"],
      answers: [["{question} $1"]],
      reference: null,
      turn: 1,
    };
    expect(fillPrompt(prompts, judged).user).toContain("[Question]\n{answer}\n\n");
    expect(fillPrompt(prompts, judged).user).toContain("Answer]\n{question} $1\n[");
  });

  it("need a reference where answers are right or wrong", () => {
    const judged = { category: "math", questions: ["1+1?"], answers: [["2"]], reference: null, turn: 1 };
    expect(() => fillPrompt(prompts, judged)).toThrow('Turn 1 of a math question has no reference answer: "1+1?".');
    expect(() => fillPrompt(new Map(), judged)).toThrow("The judge's prompts have none named single-math-v1.");
  });
});

const options = { modelId: "realm", maxTokens: 16, seed: 1, concurrency: 2, onProgress: () => {} };

/** What a model was asked that answers all questions into a file. */
const draw = async (file: string) => {
  const model = scriptedModel({ reply: (_, call) => ({ pieces: [`reply ${call} `] }) });
  const log = await openRowLog(file, answerSchema);
  expect(await answerQuestions(model, questions, log, { ...options, concurrency: 1 }, never)).toEqual({
    answered: 2,
    skipped: 0,
    tooLong: 0,
  });
  await log.close();
  return model.calls.map(({ request }) => request);
};

/** A model that fails at its second request. */
const failing = (error: Error) => {
  let asked = 0;
  return scriptedModel({ reply: () => (asked++ === 1 ? { refuseWith: error } : { pieces: ["ok"] }) });
};

describe("answers", () => {
  it("to a second turn see the first, at the category's temperature, with draws of their own that do not change", async () => {
    const path = join(folder, "realm.jsonl");
    const calls = await draw(path);
    expect(calls.map(({ sampling }) => sampling.temperature)).toEqual([0.7, 0.7, 0, 0]);
    expect(calls[1]?.messages).toEqual([
      { role: "user", content: "Write." },
      { role: "assistant", content: "reply 0" },
      { role: "user", content: "Again." },
    ]);
    const seeds = calls.map(({ sampling }) => sampling.seed);
    expect(new Set(seeds).size).toBe(4);
    expect((await draw(join(folder, "again.jsonl"))).map(({ sampling }) => sampling.seed)).toEqual(seeds);
    const { modelId, turns } = await readAnswers(path);
    expect(modelId).toBe("realm");
    expect(turns.get(2)).toEqual(["reply 2", "reply 3"]);
  });

  it("that do not fit are empty and counted; another failure leaves its question open", async () => {
    const path = join(folder, "realm.jsonl");
    const first = await openRowLog(path, answerSchema);
    const broken = failing(new EngineError("ort_failed", "broken"));
    await expect(answerQuestions(broken, questions, first, { ...options, concurrency: 1 }, never)).rejects.toThrow(
      "broken",
    );
    await first.close();
    const second = await openRowLog(path, answerSchema);
    expect(second.before).toEqual([]);
    const full = failing(new EngineError("context_length_exceeded", "too long"));
    const tally = await answerQuestions(full, questions, second, { ...options, concurrency: 1 }, never);
    expect(tally).toEqual({ answered: 2, skipped: 0, tooLong: 1 });
    await second.close();
    const [row] = await readRows(path, answerSchema);
    expect(row).toMatchObject({ choices: [{ index: 0, turns: ["ok", ""] }], faults: [null, "too long"] });
    const third = await openRowLog(path, answerSchema);
    onTestFinished(() => third.close());
    await expect(answerQuestions(full, questions, third, { ...options, modelId: "x" }, never)).rejects.toThrow(
      "The file has answers of realm; those of x need another.",
    );
  });

  it("are found by a model's name, packed or not, or by their file", async () => {
    const bench = new BenchFolder(folder, "mt-bench");
    expect(bench.answerFile("org/model")).toBe(join(folder, "mt-bench/model_answer/org_model.jsonl"));
    await expect(bench.findAnswers("realm")).rejects.toThrow("There are no answers of realm: ");
    await mkdir(join(folder, "mt-bench/model_answer"), { recursive: true });
    await writeFile(join(folder, "mt-bench/model_answer/realm.jsonl.gz"), "");
    expect(await bench.findAnswers("realm")).toMatch(/realm\.jsonl\.gz$/);
    await writeFile(join(folder, "own.jsonl"), "");
    expect(await bench.findAnswers(join(folder, "own.jsonl"))).toBe(join(folder, "own.jsonl"));
    expect(await readFile(join(folder, "own.jsonl"), "utf8")).toBe("");
  });
});
