// Owns question sets: the two that come with the repository, others from a file, their reference answers, and the rules
// that go by a question's category. It does not know who answers or judges.
import { access } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readRows } from "./json-lines.ts";

const questionSchema = z.object({
  question_id: z.int(),
  category: z.string().min(1),
  turns: z.array(z.string()).min(1).max(2),
  required_temperature: z.number().min(0).max(2).optional(),
});
export type Question = z.infer<typeof questionSchema>;

const referenceSchema = z.object({
  question_id: z.int(),
  choices: z.tuple([z.object({ turns: z.array(z.string()).min(1) })], z.unknown()),
});

export interface QuestionSet {
  /** As it was named: for a file, its path. */
  readonly name: string;
  readonly questions: readonly Question[];
  /** Answers to a question's turns, by its id. */
  readonly references: ReadonlyMap<number, readonly string[]>;
}

const dataFolder = join(import.meta.dirname, "data");
const knownBenches: readonly string[] = ["mt-bench", "vicuna-bench"];

/** What the judge is told besides, where answers are right or wrong. */
const referenceCategories = new Set(["math", "reasoning", "coding"]);

/** Whether a question of this category is judged against a reference answer. */
export const needsReference = (category: string): boolean => referenceCategories.has(category);

const temperatures: Readonly<Record<string, number>> = {
  writing: 0.7,
  roleplay: 0.7,
  extraction: 0,
  math: 0,
  coding: 0,
  reasoning: 0,
  stem: 0.1,
  humanities: 0.1,
};

/** The temperature a question is answered at: its own where it names one, else its category's, else 0.7. */
export function temperatureOf({ category, required_temperature: own }: Question): number {
  return own ?? temperatures[category] ?? 0.7;
}

/** Reads a bench by its name, or a file of questions with, optionally, one of references. Throws an Error naming file and line. */
export async function readQuestionSet(bench: string, referenceFile: string | null): Promise<QuestionSet> {
  const isKnown = knownBenches.includes(bench);
  const questionFile = isKnown ? join(dataFolder, bench, "question.jsonl") : bench;
  await access(questionFile).catch(() => {
    throw new Error(`There is no bench ${bench}: it must be ${knownBenches.join(", ")} or a file of questions.`);
  });
  const answersFrom = referenceFile ?? (isKnown ? join(dataFolder, bench, "reference_answer.jsonl") : null);
  const questions = await readRows(questionFile, questionSchema);
  const seen = new Set<number>();
  for (const { question_id: id } of questions) {
    if (seen.has(id)) throw new Error(`${questionFile}: question_id ${id} is there twice.`);
    seen.add(id);
  }
  const references = answersFrom === null ? [] : await readRows(answersFrom, referenceSchema);
  return {
    name: bench,
    questions,
    references: new Map(references.map((row) => [row.question_id, row.choices[0].turns])),
  };
}

/** The shipped file of judge prompts. */
export const judgePromptFile = join(dataFolder, "judge_prompts.jsonl");
