// Owns what a request for a job may hold. Fields that a single dialogue has too are checked by the same rules.
// It does not know which models there are; job-plan.ts does.
import { z } from "zod";
import { metadataSchema } from "../../openai/metadata.ts";
import { integerBound } from "../../openai/validation.ts";
import { closed } from "../closed.ts";
import { selfplaySchema } from "../schema.ts";
import { seedsSchema } from "../seed-sets/seeds-schema.ts";
import { simulationFields } from "../simulators/simulation-schema.ts";

const one = selfplaySchema.shape;

const maxCount = 1_000_000;
const maxConcurrency = 1024;
const count = (max: number) => z.int().min(1, integerBound).max(max, integerBound);

/** A request for a job, as it comes. */
export const jobSchema = closed({
  /** As many as the seed set has items, unless said. */
  count: count(maxCount).nullish(),
  user: one.user,
  assistant: one.assistant,
  system: one.system,
  messages: one.messages,
  ...simulationFields,
  seeds: seedsSchema.nullish(),
  seed: one.seed,
  max_turns: one.max_turns,
  sampling: one.sampling,
  budget: closed({
    tokens: count(Number.MAX_SAFE_INTEGER).nullish(),
    money: z.number().positive().nullish(),
  }).nullish(),
  concurrency: count(maxConcurrency).nullish(),
  metadata: metadataSchema.nullish(),
});

export type JobBody = z.infer<typeof jobSchema>;
