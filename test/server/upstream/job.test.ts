import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startServer } from "../../../server/main.ts";
import { openRegistry } from "../../../server/registry.ts";
import { captureLog, testConfig } from "../../support/app-harness.ts";
import {
  breaksOff,
  errorBody,
  type FakeAnswer,
  refuses,
  says,
  slams,
  startFakeUpstream,
  streams,
} from "../../support/fake-upstream.ts";
import { settingsOf } from "./ask.ts";

interface Job {
  readonly id: string;
  readonly status: string;
  readonly dialogue_counts: Readonly<Record<string, unknown>>;
  readonly usage: { readonly money: number };
}

/** A server with two models elsewhere and a job of theirs, played to its end. */
async function playJob(user: FakeAnswer, assistant: FakeAnswer, maxRetries: number, over: object) {
  const dataFolder = await mkdtemp(join(tmpdir(), "realchat-upstream-job-"));
  onTestFinished(() => rm(dataFolder, { recursive: true }));
  const [asker, answerer] = [await startFakeUpstream(user), await startFakeUpstream(assistant)];
  const shared = { maxRetries, maxRetryDelayS: 0.005 };
  const config = testConfig({
    modelRoots: [],
    dataFolder,
    drainTimeoutS: 0,
    upstreams: [
      settingsOf(asker.url, { ...shared, id: "asker", role: "user" }),
      settingsOf(answerer.url, {
        ...shared,
        id: "answerer",
        prices: { inputPerMillion: 1000, outputPerMillion: 1000 },
      }),
    ],
  });
  const { log } = captureLog();
  const server = await startServer(config, openRegistry, log, new AbortController().signal);
  onTestFinished(server.drain);
  const url = `${server.url}/v1/selfplay/jobs`;
  const created = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: "asker", assistant: "answerer", seed: 1, ...over }),
  });
  let job = (await created.json()) as Job;
  expect({ status: created.status, job }).toMatchObject({ status: 200 });
  while (!["completed", "failed", "cancelled"].includes(job.status)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    job = (await (await fetch(`${url}/${job.id}`)).json()) as Job;
  }
  const { data } = (await (await fetch(`${url}/${job.id}/dialogues?limit=100`)).json()) as {
    data: { messages: object[] }[];
  };
  return { job, data, asker, answerer, ledger: server.catalog.upstreams };
}

/** Faults in turn, and every second time an answer. */
const mixed = (...faults: readonly FakeAnswer[]): FakeAnswer => {
  let count = 0;
  return (response, request) => {
    count += 1;
    const fault = faults[Math.floor(count / 2) % faults.length] ?? slams;
    return (count % 2 === 0 ? fault : says(["Well."]))(response, request);
  };
};

it("a job comes through every passing fault on both sides: all dialogues whole, no request without need", async () => {
  const passing = [
    refuses(429, errorBody("slow")),
    refuses(500),
    streams("data: oops\n\n"),
    slams,
    breaksOff(),
    says([], { finish: null }),
  ];
  const { job, data, asker, answerer, ledger } = await playJob(mixed(...passing), mixed(...passing), 20, {
    count: 8,
    max_turns: 3,
  });
  expect(job).toMatchObject({
    status: "completed",
    dialogue_counts: { total: 8, completed: 8, failed: 0, by_stop_reason: { max_turns: 8 } },
  });
  expect(data.map(({ messages }) => messages.length)).toEqual(Array.from({ length: 8 }, () => 6));
  for (const [id, { requests }] of [
    ["asker", asker],
    ["answerer", answerer],
  ] as const) {
    const totals = ledger?.snapshot().get(id);
    expect(totals?.requests).toBe(24);
    expect(requests).toHaveLength(24 + (totals?.retries ?? 0));
  }
  // 24 turns of 10 and 2 tokens at 1000 a million.
  expect(job.usage.money).toBeCloseTo(24 * 0.012, 9);
});

it("a turn that is cut off is asked for again, and what is never whole ends as failed after a bounded number of tries", async () => {
  const first = await playJob(says(["Why?"]), mixed(breaksOff("Be")), 1, { count: 2, max_turns: 2 });
  expect(first.job).toMatchObject({ status: "completed", dialogue_counts: { completed: 2, failed: 0 } });
  expect(JSON.stringify(first.data)).not.toContain('"Be"');
  const second = await playJob(says(["Why?"]), refuses(429, errorBody("slow")), 1, { count: 2, max_turns: 2 });
  expect(second.job).toMatchObject({ status: "failed", dialogue_counts: { completed: 0, failed: 2 } });
  // Four tries of the turn, of two attempts each, for each of two dialogues; their questions are asked once.
  expect(second.answerer.requests).toHaveLength(2 * 4 * 2);
  expect(second.asker.requests).toHaveLength(2);
});

it("an overflow ends a dialogue and a bad key fails it, each after one request", async () => {
  const overflow = refuses(400, errorBody("too long", "context_length_exceeded"));
  const full = await playJob(says(["Why?"]), overflow, 1, { count: 2, max_turns: 2 });
  expect(full.job).toMatchObject({ status: "completed", dialogue_counts: { by_stop_reason: { window: 2 } } });
  const locked = await playJob(says(["Why?"]), refuses(401), 1, { count: 2, max_turns: 2 });
  expect(locked.job).toMatchObject({ status: "failed", dialogue_counts: { failed: 2 } });
  expect([full, locked].map(({ answerer }) => answerer.requests.length)).toEqual([2, 2]);
});
