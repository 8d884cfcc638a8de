// Owns a judge's word on a trained assistant beside its parent: both answer first questions of the run's held-out dialogues, and the judge
// compares the answers in both orders. Answers and replies are on the disk one by one, so that a run that was killed asks for none twice.
// What is asked, read and counted is training/evaluate/'s.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { answerQuestions } from "../evaluate/answer.ts";
import { answerSchema, readAnswers } from "../evaluate/answer-file.ts";
import { openRowLog, readRows } from "../evaluate/json-lines.ts";
import { readJudgePrompts } from "../evaluate/judge-prompts.ts";
import { judgePairwise } from "../evaluate/judging.ts";
import { type PairJudgment, pairSchema } from "../evaluate/judgment-file.ts";
import { type ModelChoice, openModel } from "../evaluate/open-model.ts";
import { pickDialogues } from "../evaluate/pick-dialogues.ts";
import { judgePromptFile, type QuestionSet } from "../evaluate/question-set.ts";
import { type PairTally, tallyPairs } from "../evaluate/win-rate.ts";
import { readJudgeKey } from "../judge/endpoint.ts";
import type { Surroundings } from "./gateway.ts";
import type { StepResult } from "./record.ts";
import type { LoopModel, Run } from "./run.ts";
import { jsonText, writeWhole } from "./whole-file.ts";

const mostTokens = 256;
const mostJudgeTokens = 2048;
const concurrency = 4;

/** What stands in judged-assistant.json. */
export interface JudgedAnswers {
  readonly judge: string;
  readonly model: string;
  readonly parent: string;
  /** From the candidate's side. */
  readonly tally: PairTally;
  readonly questions: readonly {
    readonly question: string;
    readonly candidate: string;
    readonly parent: string;
    /** Who won with the candidate's answer first, and with it second. */
    readonly winners: readonly [string, string];
    readonly judgments: readonly [string, string];
  }[];
}

/** Has the judge of the options compare, and writes what it found to `path`, a name within the run folder; work lies in `work`. */
export async function judgeAnswers(
  run: Run,
  candidate: LoopModel,
  parent: LoopModel,
  { path, work }: { readonly path: string; readonly work: string },
  { environment }: Surroundings,
  signal: AbortSignal,
): Promise<StepResult> {
  const { judge, device, threads, seed } = run.options;
  if (judge === null) throw new Error("no judge was named");
  const folder = join(run.folder, work);
  await mkdir(folder, { recursive: true });
  const local = { url: null, apiKey: null, device, threads, concurrency };
  const questionSet = await questionsOf(run, signal);
  const files = { candidate: join(folder, "candidate.jsonl"), parent: join(folder, "parent.jsonl") };
  await answer({ ...local, model: candidate.folder }, candidate.id, questionSet, files.candidate, seed, signal);
  await answer({ ...local, model: parent.folder }, parent.id, questionSet, files.parent, seed, signal);
  const answers = { candidate: await readAnswers(files.candidate), parent: await readAnswers(files.parent) };

  const pairs = join(folder, "judgments.jsonl");
  const apiKey = readJudgeKey(environment);
  const model = await openModel({ ...local, model: judge.model, url: judge.url, apiKey }, () => {}, signal);
  try {
    const log = await openRowLog(pairs, pairSchema);
    try {
      const setup = {
        judge: model,
        judgeId: judge.model,
        prompts: await readJudgePrompts(judgePromptFile),
        questionSet,
        maxTokens: mostJudgeTokens,
        seed,
        concurrency,
        onProgress: () => {},
      };
      await judgePairwise(setup, answers.candidate, answers.parent, log, signal);
    } finally {
      await log.close();
    }
  } finally {
    await model.close();
  }

  const judgments = new Map((await readRows(pairs, pairSchema)).map((row) => [row.question_id, row]));
  const found: JudgedAnswers = {
    judge: judge.model,
    model: candidate.id,
    parent: parent.id,
    tally: tallyPairs([...judgments.values()]),
    questions: questionSet.questions.flatMap(({ question_id: id, turns }) => {
      const row = judgments.get(id);
      const [own, theirs] = [answers.candidate, answers.parent].map((each) => each.turns.get(id)?.[0] ?? "");
      return row === undefined ? [] : [shown(row, turns[0] ?? "", own ?? "", theirs ?? "")];
    }),
  };
  const sha256 = await writeWhole(join(run.folder, path), jsonText(found));
  return { outputs: { [path]: sha256 }, facts: { ...found.tally } };
}

function shown(row: PairJudgment, question: string, candidate: string, parent: string) {
  return {
    question,
    candidate,
    parent,
    winners: [row.g1_winner, row.g2_winner] as const,
    judgments: [row.g1_judgment, row.g2_judgment] as const,
  };
}

/** What people began held-out dialogues with: so many, drawn with the run's seed from all files together. */
async function questionsOf({ options }: Run, signal: AbortSignal): Promise<QuestionSet> {
  const { heldout, seed, judge } = options;
  const share = Math.ceil((judge?.questions ?? 0) / heldout.length);
  const draw = { limit: share, seed, holdout: { holdout: 1, seed: 0 }, store: { data: null, url: null } };
  const firsts: string[] = [];
  for (const file of heldout) {
    const { dialogues } = await pickDialogues(file, draw, signal);
    firsts.push(...dialogues.flatMap(({ utterances: [first] }) => (first?.role === "user" ? [first.content] : [])));
  }
  const questions = firsts.slice(0, judge?.questions).map((question, index) => ({
    question_id: index + 1,
    category: "general",
    turns: [question],
    required_temperature: 0,
  }));
  return { name: "held-out questions", questions, references: new Map() };
}

async function answer(
  choice: ModelChoice,
  modelId: string,
  { questions }: QuestionSet,
  file: string,
  seed: number,
  signal: AbortSignal,
): Promise<void> {
  const log = await openRowLog(file, answerSchema);
  const model = await openModel(choice, () => {}, signal);
  try {
    const settings = { modelId, maxTokens: mostTokens, seed, concurrency, onProgress: () => {} };
    await answerQuestions(model, questions, log, settings, signal);
  } finally {
    await model.close();
    await log.close();
  }
}
