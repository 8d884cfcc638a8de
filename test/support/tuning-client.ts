// What tests of fine-tuning ask a gateway for, with OpenAI's client.
import type OpenAI from "openai";
import { toFile } from "openai";

export const chat = (index = 1) =>
  JSON.stringify({
    messages: [
      { role: "user", content: `I need table ${index}.` },
      { role: "assistant", content: "Where?" },
      { role: "user", content: "In San Jose." },
    ],
  });

/** Uploads chats for fine-tuning; lines as they come. */
export async function uploadChats(
  client: OpenAI,
  lines: readonly string[] = [chat(1), chat(2), chat(3)],
): Promise<string> {
  const file = await toFile(Buffer.from(lines.map((line) => `${line}\n`).join("")), "chats.jsonl");
  return (await client.files.create({ file, purpose: "fine-tune" })).id;
}

type Job = OpenAI.FineTuning.FineTuningJob;

/** Resolves once the job stands so. */
export async function jobIs(client: OpenAI, id: string, isReached: (job: Job) => boolean): Promise<Job> {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (isReached(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const jobEnds = (client: OpenAI, id: string) =>
  jobIs(client, id, ({ status }) => ["succeeded", "failed", "cancelled"].includes(status));

/** Every event of a job, the oldest first. */
export async function eventsOf(client: OpenAI, id: string) {
  const events: OpenAI.FineTuning.FineTuningJobEvent[] = [];
  for await (const event of client.fineTuning.jobs.listEvents(id, { limit: 3 })) events.push(event);
  return events.toReversed();
}

/** Resolves once a step was told. */
export async function stepIsTold(client: OpenAI, id: string, step: number): Promise<void> {
  for (;;) {
    const { data } = await client.fineTuning.jobs.listEvents(id, { limit: 1 });
    if (((data[0]?.data as { step?: number } | undefined)?.step ?? 0) >= step) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
