// Owns reading a dialogue of our own self-play with everything that is known about it: sampled ids, causes, samples passed over.
// It knows the record as it leaves the gateway, and nothing of the gateway.
import { z } from "zod";
import type { StopCause } from "../../runtime/chat-model.ts";
import type { RejectedSample, Utterance } from "../conversation.ts";
import { conversationOf, type RowReader } from "./row-reader.ts";
import { RowError } from "./source-error.ts";
import { readFromValue, readRoleContent } from "./speakers.ts";

const causes = [
  "end_token",
  "end_of_conversation",
  "stop_string",
  "max_tokens",
  "window",
] as const satisfies StopCause[];
const ids = z.array(z.int().nonnegative());

const traceSchema = z.object({
  role: z.enum(["user", "assistant"]),
  cause: z.enum(["seed", ...causes]),
  token_ids: ids.optional(),
  choice: z.object({ rejected: z.array(z.object({ content: z.string(), token_ids: ids.optional() })) }).optional(),
});

const recordSchema = z.looseObject({
  id: z.string(),
  messages: z.array(z.unknown()).optional(),
  conversations: z.array(z.unknown()).optional(),
  stop_reason: z.string().nullable(),
  system: z.object({ user: z.string().nullable(), assistant: z.string().nullable() }).optional(),
  trace: z.array(traceSchema),
});

/** Of a record, what says how it came about. */
const told = [
  "job_id", "index", "status", "stop_reason", "stopped_by", "turns", "seed", "simulator", "mode",
  "models", "sampling", "seed_item", "quality", "versions", "gateway", "created", "ended_at",
] as const; // prettier-ignore

/** Stop reasons after which nothing was left to say. */
const completing: ReadonlySet<string | null> = new Set(["end_token", "judge"]);

/** One line of a job's dialogues in the form `record`. */
export const readSelfplayRecord: RowReader = (row) => {
  const parsed = recordSchema.safeParse(row);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RowError(`'${issue?.path.join(".") ?? ""}' is not as in a self-play record: ${issue?.message ?? ""}.`);
  }
  const record = parsed.data;
  const { messages, conversations } = record;
  if (messages === undefined && conversations === undefined) throw new RowError("'messages' is missing.");
  const spoken =
    messages === undefined
      ? readFromValue(conversations ?? [], "conversations")
      : readRoleContent(messages, "messages");
  if (spoken.utterances.length === 0) return [{ type: "dropped", rule: "no whole round" }];
  const provenance = Object.fromEntries(told.flatMap((name) => (name in record ? [[name, record[name]]] : [])));
  return conversationOf({
    id: record.id,
    utterances: spoken.utterances.map((utterance, index) => withTrace(utterance, record.trace[index], index)),
    system: record.system ?? spoken.system,
    isComplete: completing.has(record.stop_reason),
    provenance,
  });
};

function withTrace(utterance: Utterance, trace: z.infer<typeof traceSchema> | undefined, index: number): Utterance {
  if (trace === undefined) throw new RowError(`'trace[${index}]' is missing.`);
  if (trace.role !== utterance.role) throw new RowError(`'trace[${index}].role' is not that of the message.`);
  if (trace.cause === "seed") return { ...utterance, isContext: true };
  const tokenIds = trace.token_ids ?? [];
  const rejected = (trace.choice?.rejected ?? []).map(toRejected);
  return {
    ...utterance,
    cause: trace.cause,
    // A remote model reports none.
    ...(tokenIds.length === 0 ? {} : { tokenIds }),
    ...(rejected.length === 0 ? {} : { rejected }),
  };
}

function toRejected(sample: { content: string; token_ids?: number[] | undefined }): RejectedSample {
  const { content, token_ids = [] } = sample;
  return token_ids.length === 0 ? { content } : { content, tokenIds: token_ids };
}
