// Owns the JSON in which jobs and their dialogues leave the process.
// It knows stored rows and the wire form of a dialogue, no transport.
import type { SideUsage } from "../dialogue-types.ts";
import type { DialogueTally } from "../store/job-store.ts";
import type { StoredEvent } from "../store/event-store.ts";
import type { Json, StoredDialogue, StoredJob, StoredTurn } from "../store/records.ts";
import { toDiscarded, toTrace, toWireDialogue } from "../wire.ts";
import { dialogueId, planOf } from "./job-plan.ts";
import type { LiveToken } from "./live-hub.ts";
import { toDialogue, usageOf, wholeRounds } from "./record.ts";

export type DialogueFormat = "openai" | "sharegpt" | "platolm";
/** A line of a data set: what was said in one of the formats, or as a `record` everything that is known. */
export type LineFormat = DialogueFormat | "record";

/** A job, shaped like OpenAI's batch object. */
export function toWireJob(job: StoredJob, { byStatus, byStopReason }: DialogueTally): Json {
  const { id, status, count, seed, concurrency, budgetTokens, budgetMoney, metadata, request, plan, usage } = job;
  return {
    id,
    object: "selfplay.job",
    status,
    created_at: seconds(job.createdAtMs),
    started_at: seconds(job.startedAtMs),
    ended_at: seconds(job.endedAtMs),
    dialogue_counts: {
      total: count,
      queued: byStatus["queued"] ?? 0,
      running: byStatus["running"] ?? 0,
      completed: byStatus["completed"] ?? 0,
      failed: byStatus["failed"] ?? 0,
      cancelled: byStatus["cancelled"] ?? 0,
      by_stop_reason: byStopReason,
    },
    turns: job.turns,
    usage: {
      user: toWireUsage(usage.user),
      assistant: toWireUsage(usage.assistant),
      judge: toWireUsage(usage.judge),
      money: job.money,
    },
    seed,
    concurrency,
    budget: budgetTokens === null && budgetMoney === null ? null : { tokens: budgetTokens, money: budgetMoney },
    plan,
    request,
    metadata,
    error: job.error,
  };
}

/** A dialogue of a job with full provenance, finished or not. */
export function toWireJobDialogue(job: StoredJob, stored: StoredDialogue, lineFormat: LineFormat): Json {
  const format = lineFormat === "record" ? "openai" : lineFormat;
  const { index, status, error, attempts, quality, seedItem, record } = stored;
  const id = dialogueId(job.id, index);
  const dialogue = toDialogue(id, stored);
  const createdAtS = seconds(stored.startedAtMs) ?? seconds(job.createdAtMs) ?? 0;
  const options = {
    format: format === "openai" ? ("openai" as const) : ("sharegpt" as const),
    createdAtS,
    hasTokenIds: true,
  };
  const head = {
    job_id: job.id,
    index,
    status,
    ended_at: seconds(stored.endedAtMs),
    simulator: job.plan["simulator"],
    mode: job.plan["mode"],
    seed_item: seedItem,
    quality,
    error,
    attempts,
    versions: record?.["versions"] ?? null,
    gateway: record?.["gateway"] ?? null,
    timings: stored.turns.filter(({ origin }) => origin !== null).map(toTiming),
  };
  if (dialogue !== null) return { ...toWireDialogue(dialogue, options), ...head };
  return {
    id,
    object: "selfplay.dialogue",
    created: createdAtS,
    ...toRow(job, stored, format),
    stop_reason: stored.stopReason,
    stopped_by: stored.stoppedBy,
    turns: wholeRounds(stored).at(-1)?.turn ?? 0,
    usage: { user: toWireUsage(usageOf(stored, "user")), assistant: toWireUsage(usageOf(stored, "assistant")) },
    seed: job.seed,
    trace: stored.turns.filter(({ isKept }) => isKept).map((turn) => toTrace(turn, options)),
    discarded: stored.turns.filter(({ isKept }) => !isKept).map((turn) => toDiscarded(turn, options)),
    ...head,
  };
}

/** One line of a data set; a record is what the dialogue alone is answered with. */
export function toLine(job: StoredJob, stored: StoredDialogue, format: LineFormat): Json {
  return format === "record" ? toWireJobDialogue(job, stored, format) : toRow(job, stored, format);
}

/** One row of a data set: what was said, and no more than the format knows. */
export function toRow(job: StoredJob, stored: StoredDialogue, format: DialogueFormat): Json {
  const turns = wholeRounds(stored);
  const id = dialogueId(job.id, stored.index);
  const { system } = planOf(job).dialogue;
  const messages = [
    ...(typeof system?.assistant === "string" ? [{ role: "system", content: system.assistant } as const] : []),
    ...turns.map(({ role, content }) => ({ role, content })),
  ];
  if (format === "openai") return { id, messages };
  const from = { system: "system", user: "human", assistant: "gpt" };
  const conversations = messages.map(({ role, content }) => ({ from: from[role], value: content }));
  if (format === "sharegpt") return { id, conversations };
  return { id, session_id: id, num_of_rounds: turns.at(-1)?.turn ?? 0, conversations };
}

/** Something durable that happened to a job. */
export function toWireJobEvent(jobId: string, event: StoredEvent): Json {
  const { id, type, dialogueIndex, turn, data, createdAtMs } = event;
  return {
    object: "selfplay.job.event",
    id,
    job_id: jobId,
    type,
    created: seconds(createdAtMs),
    ...(dialogueIndex === null ? {} : { dialogue: dialogueIndex }),
    ...(turn === null ? {} : toWireTurn(turn)),
    ...data,
  };
}

/** A piece of a turn that is being said. It has no id: nobody can ask for it again. */
export function toWireToken(jobId: string, { dialogueIndex, role, turn, text }: LiveToken): Json {
  return { object: "selfplay.job.event", job_id: jobId, type: "token", dialogue: dialogueIndex, role, turn, text };
}

function toWireTurn(stored: StoredTurn): Json {
  const { role, turn, content, origin, isKept, rejection, durationMs } = stored;
  return {
    role,
    turn,
    content,
    is_kept: isKept,
    cause: origin?.cause ?? "seed",
    completion_tokens: origin?.usage.completionTokens ?? 0,
    duration_ms: durationMs,
    ...(rejection === undefined ? {} : { rejection }),
  };
}

function toTiming({ role, turn, firstTokenMs, durationMs, isKept }: StoredTurn): Json {
  return { role, turn, is_kept: isKept, first_token_ms: firstTokenMs, duration_ms: durationMs };
}

function toWireUsage(usage: SideUsage): Json {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    cached_tokens: usage.cachedTokens,
    prefilled_tokens: usage.prefilledTokens,
  };
}

function seconds(ms: number): number;
function seconds(ms: number | null): number | null;
function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000);
}
