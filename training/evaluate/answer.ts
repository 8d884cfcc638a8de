// Owns having a model answer a question set: each turn after the one before, at its category's temperature, every answered
// question written down at once and never asked again. It knows neither files' places nor who judges.
import { createHash, randomUUID } from "node:crypto";
import type { ChatMessage, ChatModel } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import type { AnswerRow } from "./answer-file.ts";
import type { RowLog } from "./json-lines.ts";
import { type Question, temperatureOf } from "./question-set.ts";
import { say } from "./say.ts";
import { together } from "./together.ts";

export interface AnswerOptions {
  /** Under which the answers are kept. */
  readonly modelId: string;
  readonly maxTokens: number;
  readonly seed: number;
  readonly concurrency: number;
  /** Hears how many of all questions are answered. */
  readonly onProgress: (done: number, all: number) => void;
}

export interface AnswerTally {
  readonly answered: number;
  /** There before. */
  readonly skipped: number;
  /** Turns that did not fit into the model's window and stand as empty answers. */
  readonly tooLong: number;
}

/** Answers what the log does not have yet. Throws what the model throws, after everything under way was written down. */
export async function answerQuestions(
  model: ChatModel,
  questions: readonly Question[],
  log: RowLog<AnswerRow>,
  options: AnswerOptions,
  signal: AbortSignal,
): Promise<AnswerTally> {
  const { modelId, concurrency, onProgress } = options;
  const stranger = log.before.find((row) => row.model_id !== modelId);
  if (stranger !== undefined) {
    throw new Error(`The file has answers of ${stranger.model_id}; those of ${modelId} need another.`);
  }
  const known = new Set(log.before.map((row) => row.question_id));
  const open = questions.filter(({ question_id: id }) => !known.has(id));
  let answered = 0;
  let tooLong = 0;
  const work = async (question: Question, either: AbortSignal) => {
    const row = await answerOne(model, question, options, either);
    await log.append(row);
    answered += 1;
    tooLong += row.faults?.filter((fault) => fault !== null).length ?? 0;
    onProgress(questions.length - open.length + answered, questions.length);
  };
  await together(open, concurrency, work, signal);
  return { answered, skipped: questions.length - open.length, tooLong };
}

async function answerOne(
  model: ChatModel,
  question: Question,
  { modelId, maxTokens, seed }: AnswerOptions,
  signal: AbortSignal,
): Promise<AnswerRow> {
  const { question_id: id, turns } = question;
  const messages: ChatMessage[] = [];
  const answers: string[] = [];
  const faults: (string | null)[] = [];
  for (const [index, content] of turns.entries()) {
    messages.push({ role: "user", content });
    const options = { temperature: temperatureOf(question), seed: seedOf(seed, id, index), maxTokens };
    let answer = "";
    let fault: string | null = null;
    try {
      answer = (await say(model, [...messages], options, signal)).trim();
    } catch (error) {
      // No later try would fit either; all else may pass, so the question stays open.
      if (!(error instanceof EngineError) || error.code !== "context_length_exceeded") throw error;
      fault = error.message;
    }
    messages.push({ role: "assistant", content: answer });
    answers.push(answer);
    faults.push(fault);
  }
  return {
    question_id: id,
    answer_id: randomUUID(),
    model_id: modelId,
    choices: [{ index: 0, turns: answers }],
    tstamp: Date.now() / 1000,
    ...(faults.some((fault) => fault !== null) ? { faults } : {}),
  };
}

/** Questions draw apart, and the same in a resumed run as in one that was never stopped. */
function seedOf(seed: number, questionId: number, turn: number): number {
  return createHash("sha256").update(`${seed}/${questionId}/${turn}`).digest().readUInt32BE(0);
}
