// Owns what judges are told: the prompts of a FastChat file, chosen by kind, category and turn, with their places filled in.
// It knows neither who is asked nor how replies are read.
import { createHash } from "node:crypto";
import { z } from "zod";
import { readRows } from "./json-lines.ts";
import { needsReference } from "./question-set.ts";

const promptSchema = z.object({
  name: z.string(),
  type: z.enum(["single", "pairwise"]),
  system_prompt: z.string(),
  prompt_template: z.string(),
});
type JudgePrompt = z.infer<typeof promptSchema>;

export type JudgePrompts = ReadonlyMap<string, JudgePrompt>;

/** A prompt with its places filled in. */
export interface FilledPrompt {
  readonly name: string;
  readonly system: string;
  readonly user: string;
  /** SHA-256 of the prompt before its places were filled in. */
  readonly hash: string;
}

/** Reads a file of prompts. Throws an Error naming file and line. */
export async function readJudgePrompts(path: string): Promise<JudgePrompts> {
  const prompts = await readRows(path, promptSchema);
  return new Map(prompts.map((prompt) => [prompt.name, prompt]));
}

/** What one judgment is about. `answers` holds one model's turns, or two models'. */
export interface JudgedCase {
  readonly category: string;
  readonly questions: readonly string[];
  readonly answers: readonly (readonly string[])[];
  /** null where the question has none. */
  readonly reference: readonly string[] | null;
  /** From 1; of a second turn the first is shown too. */
  readonly turn: number;
}

/** The prompt for a case. Throws an Error when the file lacks it, or the case lacks a reference that its category needs. */
export function fillPrompt(prompts: JudgePrompts, judged: JudgedCase): FilledPrompt {
  const { category, questions, answers, reference, turn } = judged;
  const hasReference = needsReference(category);
  const base = answers.length === 1 ? "single" : "pair";
  const name = `${promptStem(base, hasReference)}${turn > 1 ? "-multi-turn" : ""}`;
  const prompt = prompts.get(name);
  if (prompt === undefined) throw new Error(`The judge's prompts have none named ${name}.`);
  const values: Record<string, string> = { question: at(questions, 0), answer: at(answers[0], 0) };
  for (const index of Array.from({ length: turn }, (_, each) => each)) {
    values[`question_${index + 1}`] = at(questions, index);
    values[`answer_${index + 1}`] = at(answers[0], index);
    values[`answer_a_${index + 1}`] = at(answers[0], index);
    values[`answer_b_${index + 1}`] = at(answers[1], index);
    if (!hasReference) continue;
    const known = reference?.[index];
    if (known === undefined) {
      throw new Error(
        `Turn ${index + 1} of a ${category} question has no reference answer: "${at(questions, index)}".`,
      );
    }
    values[`ref_answer_${index + 1}`] = known;
  }
  values["answer_a"] = at(answers[0], 0);
  values["answer_b"] = at(answers[1], 0);
  // One pass: what a model wrote is never taken for a place.
  const user = prompt.prompt_template.replaceAll(/\{(\w+)\}/g, (place, key: string) => values[key] ?? place);
  const hash = createHash("sha256").update(`${prompt.system_prompt}\0${prompt.prompt_template}`).digest("hex");
  return { name, system: prompt.system_prompt, user, hash };
}

function promptStem(base: "single" | "pair", hasReference: boolean): string {
  if (base === "single") return hasReference ? "single-math-v1" : "single-v1";
  return hasReference ? "pair-math-v1" : "pair-v2";
}

const at = (turns: readonly string[] | undefined, index: number): string => turns?.[index] ?? "";
