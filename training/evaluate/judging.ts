// Owns having answers judged: pointwise, one reply a turn, and pairwise, one reply for each order of the two answers.
// Every judgment is written down at once and never asked for again. It knows neither files' places nor what is counted.
import type { ChatModel } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { ModelAnswers } from "./answer-file.ts";
import type { RowLog } from "./json-lines.ts";
import { type FilledPrompt, fillPrompt, type JudgePrompts } from "./judge-prompts.ts";
import type { PairJudgment, SingleJudgment, Winner } from "./judgment-file.ts";
import type { Question, QuestionSet } from "./question-set.ts";
import { say } from "./say.ts";
import { together } from "./together.ts";
import { parseRating, parseVerdict, unreadable, type Verdict } from "./verdict.ts";

export interface JudgingSetup {
  readonly judge: ChatModel;
  /** Under which its judgments are kept. */
  readonly judgeId: string;
  readonly prompts: JudgePrompts;
  readonly questionSet: QuestionSet;
  readonly maxTokens: number;
  readonly seed: number;
  readonly concurrency: number;
  /** Hears how many of all judgments are there. */
  readonly onProgress: (done: number, all: number) => void;
}

export interface JudgingTally {
  readonly judged: number;
  /** There before. */
  readonly skipped: number;
  /** Of those judged now. */
  readonly unreadable: number;
}

interface Turn {
  readonly question: Question;
  /** From 1. */
  readonly turn: number;
}

/** Rates every turn of a model's answers. Throws what the judge throws, after everything under way was written down. */
export async function judgePointwise(
  setup: JudgingSetup,
  answers: ModelAnswers,
  log: RowLog<SingleJudgment>,
  signal: AbortSignal,
): Promise<JudgingTally> {
  const { modelId } = answers;
  const isDone = (row: SingleJudgment) => row.model === modelId && row.judge[0] === setup.judgeId;
  const known = new Map(log.before.filter(isDone).map((row) => [keyOf(row.question_id, row.turn), row]));
  const isKnown = ({ question, turn }: Turn) => known.has(keyOf(question.question_id, turn));
  const isStale = ({ question, turn }: Turn) => {
    const row = known.get(keyOf(question.question_id, turn));
    return row !== undefined && isOther(row, row.user_prompt, promptFor(setup, question, turn, [answers]));
  };
  const ask = async ({ question, turn }: Turn, either: AbortSignal) => {
    const prompt = promptFor(setup, question, turn, [answers]);
    const { reply, fault } = await askOnce(setup, prompt, either);
    const score = parseRating(reply);
    await log.append({
      question_id: question.question_id,
      model: modelId,
      judge: [setup.judgeId, prompt.name],
      user_prompt: prompt.user,
      judgment: reply,
      score,
      turn,
      tstamp: Date.now() / 1000,
      prompt_hash: prompt.hash,
      ...(fault === null ? {} : { fault }),
    });
    return score !== unreadable;
  };
  return judgeTurns(setup, [answers], { isKnown, isStale, ask }, signal);
}

/** Compares two models' answers, turn by turn, in both orders. Throws as `judgePointwise`. */
export async function judgePairwise(
  setup: JudgingSetup,
  first: ModelAnswers,
  second: ModelAnswers,
  log: RowLog<PairJudgment>,
  signal: AbortSignal,
): Promise<JudgingTally> {
  if (first.modelId === second.modelId) throw new Error(`Both answers are of ${first.modelId}.`);
  const isDone = (row: PairJudgment) =>
    row.judge[0] === setup.judgeId &&
    [row.model_1, row.model_2].toSorted().join("\0") === [first.modelId, second.modelId].toSorted().join("\0");
  const known = new Map(log.before.filter(isDone).map((row) => [keyOf(row.question_id, row.turn), row]));
  const isKnown = ({ question, turn }: Turn) => known.has(keyOf(question.question_id, turn));
  const isStale = ({ question, turn }: Turn) => {
    const row = known.get(keyOf(question.question_id, turn));
    if (row === undefined) return false;
    const models = row.model_1 === first.modelId ? [first, second] : [second, first];
    return isOther(row, row.g1_user_prompt, promptFor(setup, question, turn, models));
  };
  const ask = async ({ question, turn }: Turn, either: AbortSignal) => {
    const prompt = promptFor(setup, question, turn, [first, second]);
    const swapped = promptFor(setup, question, turn, [second, first]);
    const one = await askOnce(setup, prompt, either);
    const two = await askOnce(setup, swapped, either);
    const winners = [winnerOf(parseVerdict(one.reply), false), winnerOf(parseVerdict(two.reply), true)] as const;
    const fault = one.fault ?? two.fault;
    await log.append({
      question_id: question.question_id,
      model_1: first.modelId,
      model_2: second.modelId,
      g1_winner: winners[0],
      g2_winner: winners[1],
      judge: [setup.judgeId, prompt.name],
      g1_user_prompt: prompt.user,
      g1_judgment: one.reply,
      g2_user_prompt: swapped.user,
      g2_judgment: two.reply,
      turn,
      tstamp: Date.now() / 1000,
      prompt_hash: prompt.hash,
      ...(fault === null ? {} : { fault }),
    });
    return !winners.includes("error");
  };
  return judgeTurns(setup, [first, second], { isKnown, isStale, ask }, signal);
}

interface TurnWork {
  readonly isKnown: (turn: Turn) => boolean;
  /** It was judged with another answer or prompt than there is now. */
  readonly isStale: (turn: Turn) => boolean;
  /** Resolves to whether the reply could be read. */
  readonly ask: (turn: Turn, signal: AbortSignal) => Promise<boolean>;
}

async function judgeTurns(
  { questionSet, concurrency, judgeId, onProgress }: JudgingSetup,
  answers: readonly ModelAnswers[],
  { isKnown, isStale, ask }: TurnWork,
  signal: AbortSignal,
): Promise<JudgingTally> {
  for (const { modelId, turns } of answers) checkComplete(questionSet, modelId, turns);
  const all = questionSet.questions.flatMap((question) =>
    question.turns.map((_, index) => ({ question, turn: index + 1 })),
  );
  const stale = all.find(isStale);
  if (stale !== undefined) {
    throw new Error(
      `Question ${stale.question.question_id}, turn ${stale.turn}, of ${answers.map(({ modelId }) => modelId).join(" and ")} was judged ` +
        `by ${judgeId} with another answer or another prompt; name the judge otherwise, or remove those judgments.`,
    );
  }
  const open = all.filter((turn) => !isKnown(turn));
  let judged = 0;
  let unread = 0;
  const work = async (turn: Turn, either: AbortSignal) => {
    if (!(await ask(turn, either))) unread += 1;
    judged += 1;
    onProgress(all.length - open.length + judged, all.length);
  };
  await together(open, concurrency, work, signal);
  return { judged, skipped: all.length - open.length, unreadable: unread };
}

/** Whether a judgment was made with another prompt; FastChat's own have no hash. */
function isOther(
  row: { readonly prompt_hash?: string | undefined },
  user: string | undefined,
  prompt: FilledPrompt,
): boolean {
  if (row.prompt_hash !== undefined && row.prompt_hash !== prompt.hash) return true;
  return user !== undefined && user !== prompt.user;
}

/** Means over part of a set compare with nothing. */
function checkComplete(set: QuestionSet, modelId: string, turns: ModelAnswers["turns"]): void {
  const missing = set.questions.filter(
    ({ question_id: id, turns: asked }) => (turns.get(id)?.length ?? 0) < asked.length,
  );
  if (missing.length === 0) return;
  const ids = missing.slice(0, 5).map(({ question_id: id }) => id);
  const more = missing.length > ids.length ? ", …" : "";
  throw new Error(
    `${modelId} has not answered ${missing.length} of ${set.questions.length} questions of ${set.name} (${ids.join(", ")}${more}).`,
  );
}

function promptFor(
  { prompts, questionSet }: JudgingSetup,
  { question_id: id, category, turns }: Question,
  turn: number,
  models: readonly ModelAnswers[],
): FilledPrompt {
  return fillPrompt(prompts, {
    category,
    questions: turns,
    answers: models.map((model) => model.turns.get(id) ?? []),
    reference: questionSet.references.get(id) ?? null,
    turn,
  });
}

/** At temperature 0. What is too long for the judge's window is a judgment that cannot be read, for good. */
async function askOnce(
  { judge, maxTokens, seed }: JudgingSetup,
  { system, user }: FilledPrompt,
  signal: AbortSignal,
): Promise<{ readonly reply: string; readonly fault: string | null }> {
  const messages = [
    { role: "system" as const, content: system },
    { role: "user" as const, content: user },
  ];
  try {
    return { reply: await say(judge, messages, { temperature: 0, seed, maxTokens }, signal), fault: null };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "context_length_exceeded") throw error;
    return { reply: "", fault: error.message };
  }
}

function winnerOf(verdict: Verdict, isSwapped: boolean): Winner {
  if (verdict === "tie" || verdict === "error") return verdict;
  return (verdict === "A") === isSwapped ? "model_2" : "model_1";
}

const keyOf = (questionId: number, turn: number): string => `${questionId}/${turn}`;
