// Nothing is lost and nothing is doubled: jobs whose gateways are killed at random moments give the very data of an undisturbed one.
// Kills are spread over the turns of the whole job, so that dialogues end between them on a slow store as on a quick one.
// REALCHAT_KILLS and REALCHAT_KILL_DIALOGUES set how often and how much; 20 and 100 are what the product promises.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import {
  createJob,
  type DataRow,
  dataSet,
  exportedRows,
  type JobAnswer,
  jobEvents,
  jobReaches,
  retrieveJob,
} from "../support/job-client.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const kills = Number(process.env["REALCHAT_KILLS"] ?? 4);
const count = Number(process.env["REALCHAT_KILL_DIALOGUES"] ?? 24);
const plain = { count, seed: 11, concurrency: 8, max_turns: 8 };
const settings = {
  plain,
  // Half of all questions are refused, and every answer is one of three.
  "guard-rails and best-of": {
    ...plain,
    guardrails: { first_words: ["I"], min_words: 4, redraws: 3 },
    best_of: { n: 3, judge: "realm", retries: 0 },
  },
};
// A busy machine needs longer for the full size than the suite allows.
const limitMs = 600_000 + count * 12_000;
vi.setConfig({ testTimeout: limitMs, hookTimeout: limitMs });
/** The last kill comes no later, so that there is always something left to kill. */
const lastKillShare = 0.95;
const pollMs = 20;
const mostLagMs = 50;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const seconds = (ms: number) => (ms / 1000).toFixed(1);

let postgres: PostgresServer;
const started: ServerProcess[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  // A test that failed left one behind.
  for (const server of started.splice(0)) if (isAlive(server.pid)) await kill(server);
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await startServerProcess([], env);
  started.push(server);
  return server;
}

async function kill({ pid }: ServerProcess): Promise<void> {
  process.kill(pid, "SIGKILL");
  // Its ports, locks and connections go with it, but not before it is gone.
  while (isAlive(pid)) await sleep(5);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** At how many committed turns to kill, in order. */
function drawKills(turns: number): number[] {
  const points = Array.from({ length: kills }, () => Math.floor(Math.random() * turns * lastKillShare));
  return points.toSorted((a, b) => a - b);
}

/** Watches a job until it stands at so many turns, or has ended. */
async function turnsReach(url: string, id: string, turns: number): Promise<JobAnswer> {
  for (;;) {
    const job = await retrieveJob(url, id);
    if (job.turns >= turns || job.status === "completed") return job;
    await sleep(pollMs);
  }
}

/** Every event once, without a gap: one for each turn there is, and one for each dialogue's end. */
async function expectWholeStream(url: string, job: JobAnswer, turns: number): Promise<void> {
  const events = await jobEvents(url, job.id);
  expect(events.map(({ id }) => id)).toEqual(events.map((_event, index) => index + 1));
  const ends = events.filter(({ type }) => type === "dialogue");
  expect(ends.map(({ dialogue }) => dialogue).toSorted((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: count }, (_end, index) => index),
  );
  expect(ends.map(({ completed }) => completed)).toEqual(ends.map((_end, index) => index + 1));
  expect(events.filter(({ type }) => type === "turn")).toHaveLength(turns);
  expect(events.filter(({ type, status }) => type === "status" && status === "completed")).toHaveLength(1);
  expect(job.turns).toBe(turns);
}

describe.each(Object.entries(settings))("a job with the setting '%s'", (setting, body) => {
  let undisturbed: readonly DataRow[];
  let rows: string;
  let turns: number;
  beforeAll(async () => {
    const startedMs = performance.now();
    const server = await start();
    const { id } = await createJob(server.url, body);
    const whole = await jobReaches(server.url, id);
    expect(whole.dialogue_counts).toMatchObject({ completed: count, failed: 0 });
    undisturbed = await dataSet(server.url, id);
    rows = await exportedRows(server.url, id);
    turns = undisturbed.reduce((sum, dialogue) => sum + dialogue.turns.length, 0);
    await expectWholeStream(server.url, whole, turns);
    await server.stop();
    console.log(`${setting}, undisturbed: ${turns} turns, ${seconds(performance.now() - startedMs)} s`);
  });

  async function expectUndisturbed(url: string, whole: JobAnswer): Promise<void> {
    expect(whole).toMatchObject({
      status: "completed",
      dialogue_counts: { completed: count, failed: 0, cancelled: 0 },
    });
    const found = await dataSet(url, whole.id);
    expect(found).toEqual(undisturbed);
    expect(JSON.stringify(found)).toBe(JSON.stringify(undisturbed));
    expect(await exportedRows(url, whole.id)).toBe(rows);
    await expectWholeStream(url, whole, turns);
  }

  it.each(["the embedded database", "PostgreSQL"])("on %s is killed again and again", async (store) => {
    const env = {
      REALCHAT_DATA: mkdtempSync(join(tmpdir(), "realchat-kill-")),
      REALCHAT_LEASE: "1",
      ...(store === "PostgreSQL"
        ? { DATABASE_URL: await postgres.createDatabase(`killed_${setting.replaceAll(/\W/g, "_")}`) }
        : {}),
    };
    const startedMs = performance.now();
    let server = await start(env);
    const { id } = await createJob(server.url, body);
    const stoodAtKills: JobAnswer[] = [];
    for (const point of drawKills(turns)) {
      // At least one turn further than at the last kill.
      const job = await turnsReach(server.url, id, Math.max(point, (stoodAtKills.at(-1)?.turns ?? 0) + 1));
      await sleep(Math.random() * mostLagMs);
      stoodAtKills.push(job);
      await kill(server);
      server = await start(env);
    }
    const whole = await jobReaches(server.url, id);
    const finished = stoodAtKills.map(({ dialogue_counts: counts }) => counts["completed"] ?? 0);
    console.log(
      `${setting}, ${store}: ${kills} kills at turns ${stoodAtKills.map((job) => job.turns).join(", ")} of ${turns}, ` +
        `with ${finished.join(", ")} of ${count} dialogues finished; ${seconds(performance.now() - startedMs)} s`,
    );
    await expectUndisturbed(server.url, whole);
    // Otherwise only the beginning, or the end, was tried.
    expect(finished[0]).toBeLessThan(count);
    expect(finished.at(-1)).toBeGreaterThan(0);
    expect(await server.stop()).toBe(0);
  });

  it("shared by two gateways on one PostgreSQL is finished by one when the other is killed half-way", async () => {
    const env = {
      REALCHAT_LEASE: "2",
      DATABASE_URL: await postgres.createDatabase(`shared_${setting.replaceAll(/\W/g, "_")}`),
    };
    const startedMs = performance.now();
    const [first, second] = [await start(env), await start(env)];
    const { id } = await createJob(first.url, body);
    await jobReaches(first.url, id, ({ dialogue_counts: counts }) => (counts["completed"] ?? 0) >= count / 2);
    await kill(first);
    const whole = await jobReaches(second.url, id);
    const players = new Map<string, number>();
    for (let index = 0; index < count; index += 1) {
      const response = await fetch(`${second.url}/v1/selfplay/jobs/${id}/dialogues/${index}`);
      const { gateway } = (await response.json()) as { gateway: string };
      players.set(gateway, (players.get(gateway) ?? 0) + 1);
    }
    console.log(
      `${setting}, two gateways: ended ${[...players.values()].join(" and ")} dialogues; ` +
        `${seconds(performance.now() - startedMs)} s`,
    );
    await expectUndisturbed(second.url, whole);
    expect(players.size).toBe(2);
    expect(await second.stop()).toBe(0);
  });
});
