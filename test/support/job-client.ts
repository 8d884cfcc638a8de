// Speaks to a gateway about jobs: creates one, waits for it, and reads its dialogues as data that can be compared.

export interface JobAnswer {
  readonly id: string;
  readonly status: string;
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
  readonly messages: readonly unknown[];
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
): Promise<JobAnswer> {
  for (;;) {
    const job = await retrieveJob(url, id);
    if (isReached(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Everything that makes a data set, one entry per dialogue; what a run merely cost is left out. */
export async function dataSet(url: string, id: string): Promise<readonly object[]> {
  const rows: object[] = [];
  for (let after = -1; ;) {
    const query = after < 0 ? "limit=100" : `limit=100&after=${after}`;
    const page = await call<{ data: readonly WireDialogue[]; has_more: boolean }>(
      `${url}/v1/selfplay/jobs/${id}/dialogues?${query}`,
    );
    for (const { index, messages, stop_reason: stopReason, stopped_by: stoppedBy, trace, discarded } of page.data) {
      const turns = [...trace, ...discarded].map((turn) => Object.assign(turn, { usage: null }));
      rows.push({ index, messages, stopReason, stoppedBy, turns });
      after = index;
    }
    if (!page.has_more) return rows;
  }
}
