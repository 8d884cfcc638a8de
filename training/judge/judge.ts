// Owns the three questions that self-play puts to a judge: which answer is best, is it over, and how good were the questions.
// It knows what to say and how to read the reply; asking is ask.ts's.
import { askJudge, type JudgeAnswer, type JudgeSetup } from "./ask.ts";
import { parsePick, parseScores, parseVerdict, type Scores } from "./parse.ts";
import { pickInstruction, type Rubric, rubricCriteria, scoreInstruction, stopInstruction } from "./prompts.ts";
import { type JudgedTurn, renderCandidates, renderSession } from "./render.ts";

/** Index, from 0, of the best of several answers to the session's last question. */
export function pickBest(
  setup: JudgeSetup,
  turns: readonly JudgedTurn[],
  answers: readonly string[],
  seed: number,
  signal: AbortSignal,
): Promise<JudgeAnswer<number>> {
  const instruction = pickInstruction(answers.length);
  const material = renderCandidates(turns, answers);
  const parse = (reply: string) => parsePick(reply, answers.length);
  return askJudge(setup, { instruction, material, parse, seed }, signal);
}

/** Whether a session has run its course. */
export function hasRunItsCourse(
  setup: JudgeSetup,
  turns: readonly JudgedTurn[],
  seed: number,
  signal: AbortSignal,
): Promise<JudgeAnswer<"stop" | "continue">> {
  const question = { instruction: stopInstruction, material: renderSession(turns), parse: parseVerdict, seed };
  return askJudge(setup, question, signal);
}

/** Marks for the questions of a session. */
export function scoreSession(
  setup: JudgeSetup,
  turns: readonly JudgedTurn[],
  rubric: Rubric,
  seed: number,
  signal: AbortSignal,
): Promise<JudgeAnswer<Scores>> {
  const instruction = scoreInstruction(rubric);
  const parse = (reply: string) => parseScores(reply, rubricCriteria[rubric]);
  return askJudge(setup, { instruction, material: renderSession(turns), parse, seed }, signal);
}
