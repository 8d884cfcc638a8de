// What judges cost a job that asks them while its dialogues are played.
import { rm } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { testConfig } from "../../../support/app-harness.ts";
import { createJob, type JobAnswer, jobReaches } from "../../../support/job-client.ts";
import { listen } from "../../../support/listening.ts";
import { scriptedModel } from "../../../support/scripted-model.ts";

/** A finished job of dialogues that would go on for 50 rounds. Every reply of the judge costs 100 tokens and 2. */
async function played(body: object, verdict: (callIndex: number) => string): Promise<JobAnswer> {
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    reply: (_, index) => ({ pieces: [`question ${index}`], promptTokens: 10, cachedTokens: 9 }),
  });
  const assistant = scriptedModel({
    reply: (_, index) => ({ pieces: [`answer ${index}`], promptTokens: 10, cachedTokens: 9 }),
  });
  const judge = scriptedModel({
    info: { id: "judge" },
    reply: (_, index) => ({ pieces: [verdict(index)], promptTokens: 100, cachedTokens: 0 }),
  });
  const config = testConfig();
  const { url } = await listen({ models: [user, assistant, judge], config });
  onTestFinished(() => rm(config.dataFolder, { recursive: true, force: true }));
  const whole = { user: "usergpt", assistant: "realm", max_turns: 50, seed: 1, concurrency: 1, ...body };
  const { id } = await createJob(url, whole);
  return jobReaches(
    url,
    id,
    ({ status, dialogue_counts: counts }) => status === "completed" && counts["running"] === 0,
  );
}

const judged = (times: number) => ({
  prompt_tokens: times * 100,
  prefilled_tokens: times * 100,
  completion_tokens: times * 2,
});

test("every verdict counts, those asked for again included", async () => {
  const replies = ["[[continue]]", "hard to say", "[[continue]]", "[[stop]]"];
  const job = await played({ count: 1, stop: { judge: { model: "judge" } } }, (index) => replies[index]!);
  expect(job.dialogue_counts).toMatchObject({ completed: 1, by_stop_reason: { judge: 1 } });
  expect(job.usage.judge).toMatchObject(judged(4));
});

test("a budget that verdicts spend ends the job, after a whole round", async () => {
  const body = { count: 3, stop: { judge: { model: "judge" } }, budget: { tokens: 320 } };
  const job = await played(body, () => "[[continue]]");
  // A round is 3 tokens of either side, one computed and two said; a verdict is 102.
  expect(job.usage.judge).toMatchObject(judged(3));
  expect(job.usage.user).toMatchObject({ prefilled_tokens: 3, completion_tokens: 6 });
  expect(job.dialogue_counts).toMatchObject({ completed: 1, cancelled: 2, by_stop_reason: { budget: 3 } });
});

test("a budget is spent by the picks of best-of-n as well", async () => {
  const body = { count: 1, best_of: { n: 2, judge: "judge" }, budget: { tokens: 220 } };
  const job = await played(body, () => "[[1]]");
  expect(job.usage.judge).toMatchObject(judged(2));
  expect(job.dialogue_counts).toMatchObject({ by_stop_reason: { budget: 1 } });
});
