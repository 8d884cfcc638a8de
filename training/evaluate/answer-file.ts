// Owns the rows in which answers are kept, as FastChat's `llm_judge` writes them, so that either reads the other's files.
// It does not know how answers come about.
import { basename } from "node:path";
import { z } from "zod";
import { readRows } from "./json-lines.ts";

export const answerSchema = z.object({
  question_id: z.int(),
  answer_id: z.string(),
  model_id: z.string(),
  choices: z.array(z.object({ index: z.int(), turns: z.array(z.string()) })).min(1),
  /** Unix seconds. */
  tstamp: z.number(),
  /** Of ours alone: what stood in a turn's way, null where nothing did. */
  faults: z.array(z.string().nullable()).optional(),
});
export type AnswerRow = z.infer<typeof answerSchema>;

/** One model's answers. */
export interface ModelAnswers {
  readonly modelId: string;
  /** The turns of the first choice, by question. */
  readonly turns: ReadonlyMap<number, readonly string[]>;
}

/** Reads a model's answers; a question answered twice keeps its last. Throws an Error naming the file. */
export async function readAnswers(path: string): Promise<ModelAnswers> {
  const rows = await readRows(path, answerSchema);
  const ids = [...new Set(rows.map((row) => row.model_id))];
  if (ids.length > 1) throw new Error(`${path} has answers of ${ids.join(" and ")}; a file is of one model.`);
  const turns = new Map(rows.map((row) => [row.question_id, row.choices[0]?.turns ?? []]));
  return { modelId: ids[0] ?? basename(path).replace(/\.jsonl(\.gz)?$/, ""), turns };
}
