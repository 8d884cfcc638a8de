// Owns what a dialogue of a round looks like in the run's files: all that was said and how it came about, and nothing that another
// run with the same settings would say otherwise (times, ids of jobs, what was found in a cache). Equal dialogues are equal bytes.
import { z } from "zod";
import type { PlayedDialogue } from "./filter.ts";
import type { LoopModels } from "./run.ts";

const lineSchema = z.looseObject({
  id: z.string(),
  index: z.int().nonnegative(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.string() })),
  stop_reason: z.string(),
  turns: z.int().nonnegative(),
  models: z.object({
    user: z.looseObject({ id: z.string(), model_hash: z.string() }),
    assistant: z.looseObject({ id: z.string(), model_hash: z.string() }),
  }),
});

/** Fields of a record that depend on when and where it was played. */
const PASSING = new Set([
  "job_id",
  "created",
  "ended_at",
  "usage",
  "timings",
  "attempts",
  "gateway",
  "quality",
  "status",
  "error",
]);

/** A line of dialogues.jsonl, without its line end. Throws an Error where other models played than those of the round. */
export function toLine(record: unknown, prefix: string, models: LoopModels): string {
  const line = lineSchema.parse(record);
  for (const role of ["user", "assistant"] as const) {
    const { id, model_hash: hash } = line.models[role];
    if (hash === models[role].hash) continue;
    throw new Error(
      `the ${role} in dialogue ${line.index} was ${id} with other weights than ${models[role].folder} has`,
    );
  }
  const lasting = Object.entries(line).filter(([name]) => !PASSING.has(name));
  return JSON.stringify({ ...withoutUsage(Object.fromEntries(lasting)), id: `${prefix}-${line.index}` });
}

/** What the filter looks at. */
export function toPlayed(line: string): PlayedDialogue {
  const { id, stop_reason: stopReason, turns, messages } = lineSchema.parse(JSON.parse(line));
  const contents = messages.filter(({ role }) => role !== "system").map(({ content }) => content);
  return { id, stopReason, rounds: turns, contents };
}

/** The lines of such a file. */
export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** At every depth: how much of a prompt was found in a cache depends on what ran beside it. */
function withoutUsage(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value, (key, held: unknown) => (key === "usage" ? undefined : held))) as Record<
    string,
    unknown
  >;
}
