// Owns the self-play job of a round, as a client of a gateway: found or created, waited for, and read. Nothing is asked twice: a job
// is known by what its metadata say. It does not know what becomes of the dialogues.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Gateway } from "./gateway.ts";

const leastPollMs = 100;
const mostPollMs = 2000;
const retryMs = 1000;
const mostRetries = 30;
const pageSize = 100;

const jobSchema = z.object({
  id: z.string(),
  status: z.enum(["queued", "running", "paused", "completed", "failed", "cancelled"]),
  dialogue_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number(), cancelled: z.number() }),
  metadata: z.record(z.string(), z.string()).nullable(),
  error: z.string().nullable(),
});
const listSchema = z.object({ data: z.array(jobSchema), has_more: z.boolean() });
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

export type SelfplayJob = z.infer<typeof jobSchema>;
export type Metadata = Readonly<Record<string, string>>;

/** What a gateway refuses, or an answer that is none; the message is a sentence. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  /** Whether it would be the same again: a gateway that is out of reach, or busy, may be back. */
  readonly isFinal: boolean;

  constructor(
    message: string,
    { isFinal = true, cause }: { readonly isFinal?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.isFinal = isFinal;
  }
}

/** The job with these metadata; created from `body` where there is none. */
export async function findOrCreateJob(
  gateway: Gateway,
  body: Readonly<Record<string, unknown>>,
  metadata: Metadata,
  signal: AbortSignal,
): Promise<SelfplayJob> {
  for (let after: string | null = null; ;) {
    const query = new URLSearchParams({ limit: String(pageSize), ...(after === null ? {} : { after }) });
    const page = await askJson(gateway, `/v1/selfplay/jobs?${query.toString()}`, {}, listSchema, signal);
    const found = page.data.find((job) => isOf(job, metadata));
    if (found !== undefined) return found;
    after = page.data.at(-1)?.id ?? null;
    if (!page.has_more || after === null) break;
  }
  const init = { method: "POST", body: JSON.stringify({ ...body, metadata }) };
  return askJson(gateway, "/v1/selfplay/jobs", init, jobSchema, signal);
}

/** Resolves when the job has ended. `onProgress` hears of it whenever it was looked at. Throws GatewayError unless it completed. */
export async function untilEnded(
  gateway: Gateway,
  id: string,
  onProgress: (job: SelfplayJob) => void,
  signal: AbortSignal,
): Promise<SelfplayJob> {
  for (let waitMs = leastPollMs; ; waitMs = Math.min(mostPollMs, waitMs * 1.5)) {
    const job = await askJson(gateway, `/v1/selfplay/jobs/${id}`, {}, jobSchema, signal);
    onProgress(job);
    if (job.status === "completed") return job;
    if (job.status === "failed" || job.status === "cancelled") {
      const why = job.error === null ? "" : `: ${job.error}`;
      throw new GatewayError(`the self-play job ${id} ${job.status === "failed" ? "failed" : "was cancelled"}${why}`);
    }
    await sleep(waitMs, null, { signal });
  }
}

/** Every finished dialogue with all that is known of it, in the order of their indices. */
export async function dialoguesOf(gateway: Gateway, id: string, signal: AbortSignal): Promise<unknown[]> {
  const path = `/v1/selfplay/jobs/${id}/dialogues?as=jsonl&format=record&status=completed`;
  const text = await (await ask(gateway, path, {}, signal)).text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}

/** Has a running gateway serve a model that was put into one of its models folders. Throws GatewayError where it does not know it. */
export async function loadModel(gateway: Gateway, modelId: string, signal: AbortSignal): Promise<void> {
  await ask(gateway, `/v1/models/${encodeURIComponent(modelId)}/load`, { method: "POST" }, signal);
}

function isOf({ metadata: found }: SelfplayJob, wanted: Metadata): boolean {
  return found !== null && Object.entries(wanted).every(([key, value]) => found[key] === value);
}

async function askJson<T>(
  gateway: Gateway,
  path: string,
  init: RequestInit,
  schema: z.ZodType<T>,
  signal: AbortSignal,
): Promise<T> {
  const answer: unknown = await (await ask(gateway, path, init, signal)).json().catch(() => null);
  const { data, success } = schema.safeParse(answer);
  if (success) return data;
  throw new GatewayError(`${gateway.url} gave no answer of a gateway to ${path.split("?")[0]}`);
}

/** An answer that is no error. A gateway that cannot be reached is asked again for half a minute, unless it is known to have ended. */
async function ask(gateway: Gateway, path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const headers = {
    "content-type": "application/json",
    ...(gateway.apiKey === null ? {} : { authorization: `Bearer ${gateway.apiKey}` }),
  };
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await fetch(new URL(path, gateway.url), { ...init, headers, signal });
      if (response.ok) return response;
      const answer = errorSchema.safeParse(await response.json().catch(() => null));
      const message = answer.success ? answer.data.error.message : `it answered with status ${response.status}`;
      const isFinal = response.status < 500 && response.status !== 429;
      throw new GatewayError(`${gateway.url} refuses: ${message}`, { isFinal });
    } catch (error) {
      if (signal.aborted || error instanceof GatewayError) throw error;
      const reason = gateway.ending();
      if (reason !== null) throw new GatewayError(reason, { isFinal: false, cause: error });
      // Only what changes nothing may be asked again: another answer to a POST might have been on its way.
      if (attempt >= mostRetries || init.method === "POST") {
        throw new GatewayError(`${gateway.url} cannot be reached`, { isFinal: false, cause: error });
      }
      await sleep(retryMs, null, { signal });
    }
  }
}
