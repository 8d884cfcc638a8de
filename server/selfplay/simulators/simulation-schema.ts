// Owns what a request may say about simulators, guard-rails, stop rules and answers picked from several.
// One dialogue and a whole job share these fields. It does not know which models there are; simulation-request.ts does.
import { z } from "zod";
import { integerBound } from "../../openai/validation.ts";
import { closed } from "../closed.ts";
import { simulatorNames } from "./catalog.ts";

const count = (min: number, max: number) => z.int().min(min, integerBound).max(max, integerBound);

const mostWords = 10_000;
const mostBannedWords = 100;
const mostRedraws = 20;
const mostSamples = 16;
const mostRetries = 5;
const mostTurns = 1000;

const firstWord = z.string().regex(/^[\p{L}\p{N}]+$/u, { error: "a first word is one word of letters and digits." });

const guardrailsSchema = closed({
  first_words: z.array(firstWord).max(mostBannedWords).nullish(),
  min_words: count(1, mostWords).nullish(),
  max_words: count(1, mostWords).nullish(),
  repeat: z.boolean().nullish(),
  leak: z.boolean().nullish(),
  empty: z.boolean().nullish(),
  polite: z.boolean().nullish(),
  redraws: count(0, mostRedraws).nullish(),
}).superRefine(({ min_words: min, max_words: max }, context) => {
  if (typeof min !== "number" || typeof max !== "number" || min <= max) return;
  context.addIssue({
    code: "custom",
    path: ["min_words"],
    message: `${min} words at least and ${max} at most leave none.`,
  });
});

const stopSchema = closed({
  end_token: z.boolean().nullish(),
  tokens: count(1, Number.MAX_SAFE_INTEGER).nullish(),
  turns: closed({ min: count(1, mostTurns), max: count(1, mostTurns) })
    .superRefine(({ min, max }, context) => {
      if (min <= max) return;
      context.addIssue({
        code: "custom",
        path: ["min"],
        message: `no dialogue has ${min} rounds at least and ${max} at most.`,
      });
    })
    .nullish(),
  judge: closed({
    model: z.string(),
    from_turn: count(1, mostTurns).nullish(),
    retries: count(0, mostRetries).nullish(),
  }).nullish(),
});

const bestOfSchema = closed({
  n: count(2, mostSamples),
  judge: z.string(),
  retries: count(0, mostRetries).nullish(),
});

/** Fields that a request for one dialogue and one for a job have in common. */
export const simulationFields = {
  simulator: z.enum(simulatorNames).nullish(),
  mode: z.enum(["free", "seeded", "intent", "profile", "transcript", "turnwise"]).nullish(),
  guardrails: z.union([guardrailsSchema, z.boolean()]).nullish(),
  stop: stopSchema.nullish(),
  best_of: bestOfSchema.nullish(),
};

const simulationSchema = z.object(simulationFields);

export type SimulationBody = z.infer<typeof simulationSchema>;
