// Owns the rows in which judgments are kept, as FastChat's `llm_judge` writes them and a little more.
// It does not know how they come about, nor what is counted from them.
import { z } from "zod";

const judge = z.tuple([z.string(), z.string()]);
const oursAlone = {
  /** SHA-256 of the prompt before its places were filled in. */
  prompt_hash: z.string().optional(),
  /** Why there is no reply. */
  fault: z.string().optional(),
};

export const singleSchema = z.object({
  question_id: z.int(),
  model: z.string(),
  /** The judge and the name of its prompt. */
  judge,
  user_prompt: z.string().optional(),
  judgment: z.string(),
  /** −1 where the reply cannot be read. */
  score: z.number(),
  turn: z.int().min(1),
  tstamp: z.number(),
  ...oursAlone,
});
export type SingleJudgment = z.infer<typeof singleSchema>;

const winner = z.enum(["model_1", "model_2", "tie", "error"]);
export type Winner = z.infer<typeof winner>;

export const pairSchema = z.object({
  question_id: z.int(),
  model_1: z.string(),
  model_2: z.string(),
  /** With model 1 as assistant A. */
  g1_winner: winner,
  /** With model 2 as assistant A. */
  g2_winner: winner,
  judge,
  g1_user_prompt: z.string().optional(),
  g1_judgment: z.string(),
  g2_user_prompt: z.string().optional(),
  g2_judgment: z.string(),
  turn: z.int().min(1),
  tstamp: z.number(),
  ...oursAlone,
});
export type PairJudgment = z.infer<typeof pairSchema>;
