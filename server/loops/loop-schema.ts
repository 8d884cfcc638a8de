// Owns what requests for loops may hold: fields after the flags of `npm run loop`, and no others. What numbers of the training mean
// is checked by the trainer's own rules (plan-loop.ts). It does not know which models and files there are.
import { z } from "zod";
import { DEFAULT_STOP_REASONS, FILTER_RULES } from "../../training/loop/filter.ts";
import { GATE_RULES } from "../../training/loop/gate.ts";
import { HANDED_ON } from "../../training/loop/loop-flags.ts";
import { metadataSchema } from "../openai/metadata.ts";
import { integerBound } from "../openai/validation.ts";
import { closed } from "../selfplay/closed.ts";
import { jobSchema } from "../selfplay/jobs/job-schema.ts";
import { selfplaySchema } from "../selfplay/schema.ts";

const whole = (min: number, max: number) => z.int().min(min, integerBound).max(max, integerBound);
const many = 1_000_000_000;

const {
  count: _count,
  user: _user,
  assistant: _assistant,
  seed: _seed,
  max_turns: _turns,
  metadata: _metadata,
  ...ofJobs
} = jobSchema.shape;

/** Fields of a loop's self-play jobs; what the loop decides itself is not among them. */
export const selfplayFields = ofJobs;

/** A flag of the trainer as a field. */
export const fieldOf = (flag: string) => flag.replaceAll("-", "_");

const trainingFields = Object.fromEntries(
  HANDED_ON.map((flag) => [fieldOf(flag), z.union([z.string().max(64), z.number(), z.boolean()]).nullish()]),
);

/** A request for a loop, as it comes. */
export const loopSchema = closed({
  rounds: whole(1, 1000),
  count: whole(1, 100_000),
  user: selfplaySchema.shape.user,
  assistant: selfplaySchema.shape.assistant,
  role: z.enum(["user", "assistant", "both"]).nullish(),
  heldout_files: z.array(z.string().max(100)).min(1).max(20),
  heldout_limit: whole(1, many).nullish(),
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,40}$/, { error: "expected at most 40 letters, digits, '.', '_' and '-'." })
    .nullish(),
  seed: whole(0, Number.MAX_SAFE_INTEGER).nullish(),
  max_turns: selfplaySchema.shape.max_turns,
  selfplay: closed(selfplayFields).nullish(),
  filter: closed({
    stop_reasons: z
      .array(z.string().regex(/^[a-z_]{1,40}$/))
      .min(1)
      .default([...DEFAULT_STOP_REASONS]),
    least_rounds: whole(1, many).default(2),
    least_characters: whole(0, many).default(1),
    most_characters: whole(1, many).nullish(),
    without: z.array(z.enum(FILTER_RULES)).default([]),
  }).nullish(),
  gate: closed({
    rule: z.enum(GATE_RULES).default("not-worse"),
    margin: z.number().min(0).default(0.01),
    least_pairs: whole(0, many).default(20),
  }).nullish(),
  judge: closed({ model: z.string(), questions: whole(1, 1000).default(20) }).nullish(),
  learn_end: z.boolean().nullish(),
  holdout: z.number().min(0).lt(1).nullish(),
  training: closed(trainingFields).nullish(),
  metadata: metadataSchema.nullish(),
});

export type LoopBody = z.infer<typeof loopSchema>;

const limit = z.coerce.number().int().min(1, integerBound).max(100, integerBound).default(20);

export const pageQuery = z.object({ limit, after: z.string().optional() });

/** Number of the last event that is known. */
export const eventsQuery = z.object({ after: z.coerce.number().int().min(0, integerBound).default(0) });

export const reportQuery = z.object({ as: z.enum(["json", "markdown", "html"]).default("json") });
