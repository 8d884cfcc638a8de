// Owns what a recipe says while it trains: one JSON object a line on its standard output.
// Lines that are no such object are noise of libraries and mean nothing. It starts no process.
import { z } from "zod";

const count = z.number();

const eventSchema = z.discriminatedUnion("event", [
  z.object({
    event: z.literal("start"),
    step: count,
    steps: count,
    parameters: count,
    trained_parameters: count,
    device: z.string(),
    processes: count,
    // Of train.jsonl.
    train_sha256: z.string().optional(),
    train_examples: count,
    train_tokens: count,
    trained_tokens: count,
    heldout_examples: count,
    cut_examples: count,
    dropped_examples: count,
    /** As estimated before the start, and what is free; recipes that do not estimate leave them out. */
    memory_bytes: count.optional(),
    available_bytes: count.optional(),
  }),
  z.object({
    event: z.literal("step"),
    step: count,
    steps: count,
    loss: count,
    heldout_loss: count.optional(),
    tokens_per_s: count.optional(),
    eta_s: count.optional(),
  }),
  z.object({ event: z.literal("checkpoint"), step: count }),
  z.object({ event: z.literal("interrupted"), step: count }),
  z.object({
    event: z.literal("done"),
    result: z.string(),
    steps: count,
    best: count.optional(),
    best_step: count.optional(),
  }),
  z.object({ event: z.literal("error"), message: z.string() }),
]);

export type RecipeEvent = z.infer<typeof eventSchema>;

/** Reads a line; null for what is no event, or one that this version does not know. */
export function parseRecipeEvent(line: string): RecipeEvent | null {
  if (!line.startsWith("{")) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const { success, data } = eventSchema.safeParse(value);
  return success ? data : null;
}
