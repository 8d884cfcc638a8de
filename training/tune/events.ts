// Owns what a fine-tuning says while it runs: one JSON object a line on its standard output. It is the recipe's own words with
// what comes before and after them. It starts no process.
import { z } from "zod";
import { parseRecipeEvent, type RecipeEvent } from "../train/events.ts";

const count = z.number();

const eventSchema = z.discriminatedUnion("event", [
  /** A file cannot be trained on; `problems` are the first of `count`. */
  z.object({
    event: z.literal("invalid"),
    file: z.enum(["training", "validation"]),
    problems: z.array(z.object({ line: count, reason: z.string() })),
    count,
  }),
  z.object({
    event: z.literal("validated"),
    examples: count,
    heldout_examples: count,
    /** Examples of which nothing was left at the window. */
    too_long: count,
    epochs: count,
    batch_size: count,
    learning_rate_multiplier: count,
  }),
  z.object({ event: z.literal("registered"), folder: z.string() }),
  z.object({ event: z.literal("failed"), message: z.string() }),
]);

export type TuneEvent = z.infer<typeof eventSchema> | RecipeEvent;

/** Reads a line; null for what is no event, or one that this version does not know. */
export function parseTuneEvent(line: string): TuneEvent | null {
  if (!line.startsWith("{")) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const { success, data } = eventSchema.safeParse(value);
  return success ? data : parseRecipeEvent(line);
}
