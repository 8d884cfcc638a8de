// Speaks to a gateway about jobs: creates one, waits for it, and reads its dialogues as data that can be compared.

export interface JobAnswer {
  readonly id: string;
  readonly status: string;
  readonly turns: number;
  readonly dialogue_counts: Readonly<Record<string, number>>;
  readonly usage: Readonly<Record<"user" | "assistant" | "judge", Readonly<Record<string, number>>>>;
}

interface WireTurn {
  readonly role: string;
  readonly turn: number;
  readonly cause: string;
  readonly seed: number;
  readonly token_ids: readonly number[];
  readonly content?: string;
}

interface WireDialogue {
  readonly index: number;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly stop_reason: string;
  readonly stopped_by: string | null;
  readonly trace: readonly WireTurn[];
  readonly discarded: readonly WireTurn[];
}

async function call<T>(url: string, method = "GET", body?: object): Promise<T> {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url, { method, ...sent });
  const answer = (await response.json()) as T;
  if (!response.ok) throw new Error(`${method} ${url} was answered with ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

export const createJob = (url: string, body: object) => call<JobAnswer>(`${url}/v1/selfplay/jobs`, "POST", body);
export const retrieveJob = (url: string, id: string) => call<JobAnswer>(`${url}/v1/selfplay/jobs/${id}`);
export const actOnJob = (url: string, id: string, action: string) =>
  call<JobAnswer>(`${url}/v1/selfplay/jobs/${id}/${action}`, "POST");

/** Resolves once `isReached` says so. */
export async function jobReaches(
  url: string,
  id: string,
  isReached: (job: JobAnswer) => boolean = ({ status }) => ["completed", "failed", "cancelled"].includes(status),
  pollMs = 50,
): Promise<JobAnswer> {
  for (;;) {
    const job = await retrieveJob(url, id);
    if (isReached(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** A dialogue as data. */
export interface DataRow {
  readonly index: number;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly stopReason: string;
  readonly stoppedBy: string | null;
  readonly turns: readonly object[];
}

/** Everything that makes a data set, one entry per dialogue; what was found in a cache is left out, as that is chance. */
export async function dataSet(url: string, id: string): Promise<readonly DataRow[]> {
  const rows: DataRow[] = [];
  for (let after = -1; ;) {
    const query = after < 0 ? "limit=100" : `limit=100&after=${after}`;
    const page = await call<{ data: readonly WireDialogue[]; has_more: boolean }>(
      `${url}/v1/selfplay/jobs/${id}/dialogues?${query}`,
    );
    for (const { index, messages, stop_reason: stopReason, stopped_by: stoppedBy, trace, discarded } of page.data) {
      const row: DataRow = { index, messages, stopReason, stoppedBy, turns: [...trace, ...discarded] };
      rows.push(JSON.parse(JSON.stringify(row), withoutCached) as DataRow);
      after = index;
    }
    if (!page.has_more) return rows;
  }
}

function withoutCached(key: string, value: unknown): unknown {
  return key === "cached_tokens" || key === "prefilled_tokens" ? undefined : value;
}

/** The data set as it is downloaded, in every format that has lines; the job's own id is left out. */
export async function exportedRows(url: string, id: string): Promise<string> {
  let rows = "";
  for (const format of ["openai", "sharegpt", "platolm"]) {
    const response = await fetch(`${url}/v1/selfplay/jobs/${id}/dialogues?as=jsonl&format=${format}`);
    rows += await response.text();
  }
  return rows.replaceAll(id.replace("job_", ""), "");
}

export interface JobEvent {
  readonly id: number;
  readonly type: string;
  readonly dialogue?: number;
  readonly status?: string;
  readonly completed?: number;
}

/** Everything durable that happened to a job that has ended. */
export async function jobEvents(url: string, id: string): Promise<readonly JobEvent[]> {
  const response = await fetch(`${url}/v1/selfplay/jobs/${id}/events?tokens=false`);
  const data = (await response.text()).split("\n").filter((line) => line.startsWith("data: {"));
  return data.map((line) => JSON.parse(line.slice("data: ".length)) as JobEvent);
}
