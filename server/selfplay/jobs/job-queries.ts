// Owns what the queries of `/v1/selfplay/jobs` may say.
// It knows no tables. Values come as text; what they stand for is checked like a body's fields.
import { z } from "zod";
import { ApiError } from "../../openai/error.ts";
import { integerBound } from "../../openai/validation.ts";

const limit = z.coerce.number().int().min(1, integerBound).max(100, integerBound).default(20);
const words = z
  .string()
  .transform((text) =>
    text
      .split(",")
      .map((word) => word.trim())
      .filter((word) => word !== ""),
  )
  .default([]);

const stopReasons = [
  "window",
  "max_turns",
  "end_token",
  "empty_turn",
  "guardrails_exhausted",
  "seed_too_long",
  "judge",
  "budget",
  "cancelled",
  "error",
] as const;
const statuses = ["queued", "running", "completed", "failed", "cancelled"] as const;

/** Words separated by commas, each one of `known`. */
const anyOf = <T extends string>(known: readonly T[]) => words.pipe(z.array(z.enum(known)));

const flag = z.enum(["true", "false"]);
/** What the measures write beside a dialogue that repeats another. */
export const duplicateFlags = ["exact_duplicate", "near_duplicate"];

/** How a dialogue is written; `record` holds everything that is known of it. */
export const lineFormat = z.enum(["openai", "sharegpt", "platolm", "record"]);

export const jobsQuery = z.object({ limit, after: z.string().optional() });

export const eventsQuery = z.object({
  after: z.coerce.number().int().min(0, integerBound).default(0),
  tokens: z
    .enum(["true", "false"])
    .default("true")
    .transform((text) => text === "true"),
});

export const dialoguesQuery = z
  .object({
    limit,
    after: z.string().optional(),
    format: lineFormat.default("openai"),
    as: z.enum(["json", "jsonl", "parquet"]).optional(),
    stop_reason: anyOf(stopReasons),
    status: anyOf(statuses),
    simulator: z.enum(["learned", "selfchat", "roleplay", "prequery"]).optional(),
    unique: flag.default("false"),
  })
  .transform(({ stop_reason: reasons, status, simulator, ...rest }) => ({
    ...rest,
    filter: {
      stopReasons: reasons,
      statuses: status,
      simulators: simulator === undefined ? [] : [simulator],
      withoutFlags: rest.unique === "true" ? duplicateFlags : [],
    },
  }));

/** The index behind which a page begins: an index, or the id of a dialogue, which ends on one. */
export function readAfterIndex(after: string | undefined): number {
  if (after === undefined) return -1;
  const digits = /^(?:dlg_[0-9a-f]+_)?(\d{1,9})$/.exec(after)?.[1];
  if (digits !== undefined) return Number(digits);
  throw new ApiError(400, "Invalid 'after': expected the id or the index of a dialogue.", {
    param: "after",
    code: "invalid_value",
  });
}
