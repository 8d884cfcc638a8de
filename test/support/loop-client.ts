// What tests of loops ask a gateway for, with OpenAI's client.
import type OpenAI from "openai";

export interface WireLoop {
  readonly id: string;
  readonly status: string;
  readonly name: string;
  readonly round: number;
  readonly step: string | null;
  readonly progress: string | null;
  readonly models: { readonly user: string; readonly assistant: string };
  readonly selfplay_job: string | null;
  readonly error: string | null;
}

interface WireLoopEvent {
  readonly id: number;
  readonly message: string;
}

export const createLoop = (client: OpenAI, body: object) => client.post<WireLoop>("/loops", { body });
export const retrieveLoop = (client: OpenAI, id: string) => client.get<WireLoop>(`/loops/${id}`);

/** Resolves once the loop stands so. */
export async function loopIs(client: OpenAI, id: string, isReached: (loop: WireLoop) => boolean): Promise<WireLoop> {
  for (;;) {
    const loop = await retrieveLoop(client, id);
    if (isReached(loop)) return loop;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const loopEnds = (client: OpenAI, id: string) =>
  loopIs(client, id, ({ status }) => ["completed", "failed", "cancelled"].includes(status));

/** Every event of a loop that has ended, from behind `after` on. */
export async function loopEvents(client: OpenAI, id: string, after = 0): Promise<readonly WireLoopEvent[]> {
  const response = await client.get(`/loops/${id}/events?after=${after}`).asResponse();
  const frames = (await response.text()).split("\n\n").filter((frame) => frame !== "");
  if (frames.at(-1) !== "data: [DONE]") throw new Error("the stream has no end");
  return frames.slice(0, -1).map((frame) => JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "") as WireLoopEvent);
}
