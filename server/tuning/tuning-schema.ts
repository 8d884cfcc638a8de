// Owns what requests for fine-tuning may hold: OpenAI's fields, our two besides (`role`, and `lora` in the method), and what is refused
// by name. It does not know which models and files there are; plan-tuning.ts does.
import { z } from "zod";
import { metadataSchema } from "../openai/metadata.ts";
import { integerBound } from "../openai/validation.ts";

/** "auto", or a value that is checked as if there were nothing else. */
const autoOr = (schema: z.ZodType<number>) =>
  z.unknown().transform((value, context) => {
    if (value === "auto") return "auto" as const;
    const { success, data, error } = schema.safeParse(value, { reportInput: true });
    if (success) return data;
    context.issues.push(...(error.issues as z.core.$ZodRawIssue[]));
    return z.NEVER;
  });
const whole = (min: number, max: number) => z.int().min(min, integerBound).max(max, integerBound);

/** OpenAI's own limits. */
const hyperparameters = z.object({
  n_epochs: autoOr(whole(1, 50)).nullish(),
  batch_size: autoOr(whole(1, 256)).nullish(),
  learning_rate_multiplier: autoOr(z.number().gt(0).max(1000)).nullish(),
});

const lora = z.object({
  rank: whole(1, 256).default(16),
  alpha: z.number().gt(0).max(1024).nullish(),
});

/** What OpenAI has and a gateway has not: refused where it asks for something. */
const unserved = (field: string) =>
  z
    .custom((value) => value === undefined || value === null || (Array.isArray(value) && value.length === 0), {
      error: `Unsupported parameter: '${field}' is not supported by this server.`,
      params: { code: "unsupported_parameter", isSentence: true },
    })
    .optional();

const supervised = z.object({ hyperparameters: hyperparameters.nullish(), lora: lora.nullish() });

const method = z.object({
  type: z.enum(["supervised"]),
  supervised: supervised.nullish(),
  dpo: unserved("method.dpo"),
  reinforcement: unserved("method.reinforcement"),
});

const suffix = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9._-]+$/, { error: "expected letters, digits, '.', '_' and '-'." });

/** A request for a job, as it comes. */
export const tuningSchema = z
  .object({
    model: z.string(),
    training_file: z.string(),
    validation_file: z.string().nullish(),
    method: method.nullish(),
    hyperparameters: hyperparameters.nullish(),
    suffix: suffix.nullish(),
    seed: whole(0, 2_147_483_647).nullish(),
    metadata: metadataSchema.nullish(),
    integrations: unserved("integrations"),
    role: z.enum(["user", "assistant"]).nullish(),
  })
  .refine(({ method: given, hyperparameters: old }) => !(isThere(given?.supervised?.hyperparameters) && isThere(old)), {
    path: ["hyperparameters"],
    error: "Hyperparameters are given once: in 'method', or, as before, in 'hyperparameters'.",
    params: { isSentence: true },
  });

const isThere = (value: unknown) => value !== undefined && value !== null;

export type TuningBody = z.infer<typeof tuningSchema>;

const limit = z.coerce.number().int().min(1, integerBound).max(100, integerBound).default(20);

export const pageQuery = z.object({ limit, after: z.string().optional() });

/** `metadata[k]=v` as often as wanted, or `metadata=null`; undefined where neither is there. */
export function metadataFilter(
  query: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | null | undefined {
  if (query["metadata"] === "null") return null;
  const entries = Object.entries(query).flatMap(([name, value]) => {
    const key = /^metadata\[(.*)\]$/.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
