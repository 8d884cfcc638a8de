// Owns what a loop says while it runs: one JSON object a line on its standard output. It starts no process.
import { z } from "zod";

const round = z.int().positive();

const eventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("step"), round, step: z.string() }),
  /** How far the step is, in words. */
  z.object({ event: z.literal("progress"), text: z.string() }),
  /** The self-play job of the round that is played. */
  z.object({ event: z.literal("selfplay"), job: z.string() }),
  /** The round is over and its report is written. The ids of who plays next, and of the models that were accepted in it. */
  z.object({
    event: z.literal("round"),
    round,
    user: z.string(),
    assistant: z.string(),
    accepted: z.array(z.string()),
  }),
  z.object({ event: z.literal("done") }),
  z.object({ event: z.literal("failed"), message: z.string() }),
]);

export type LoopEvent = z.infer<typeof eventSchema>;

/** Reads a line; null for what is no event, or one that this version does not know. */
export function parseLoopEvent(line: string): LoopEvent | null {
  if (!line.startsWith("{")) return null;
  try {
    return eventSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
