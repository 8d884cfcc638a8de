// Nothing is lost and nothing is doubled: jobs whose gateways are killed at random moments give the very data of an undisturbed one.
// REALCHAT_KILLS and REALCHAT_KILL_DIALOGUES set how often and how much; 20 and 100 are what the product promises.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createJob, dataSet, type JobAnswer, jobReaches } from "../support/job-client.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

const kills = Number(process.env["REALCHAT_KILLS"] ?? 4);
const count = Number(process.env["REALCHAT_KILL_DIALOGUES"] ?? 24);
const job = { count, seed: 11, concurrency: 8, max_turns: 8 };
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let postgres: PostgresServer;
let undisturbed: readonly object[];
beforeAll(async () => {
  postgres = await startPostgres();
  const server = await startServerProcess();
  const { id } = await createJob(server.url, job);
  const whole = await jobReaches(server.url, id);
  expect(whole.dialogue_counts).toMatchObject({ completed: count, failed: 0 });
  undisturbed = await dataSet(server.url, id);
  await server.stop();
});
afterAll(() => postgres.stop());

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

async function expectUndisturbed(url: string, whole: JobAnswer): Promise<void> {
  expect(whole).toMatchObject({ status: "completed", dialogue_counts: { completed: count, failed: 0, cancelled: 0 } });
  expect(await dataSet(url, whole.id)).toEqual(undisturbed);
}

it.each(["the embedded database", "PostgreSQL"])("a gateway on %s that is killed again and again", async (store) => {
  const env = {
    REALCHAT_DATA: mkdtempSync(join(tmpdir(), "realchat-kill-")),
    REALCHAT_LEASE: "1",
    ...(store === "PostgreSQL" ? { DATABASE_URL: await postgres.createDatabase("killed") } : {}),
  };
  let server = await startServerProcess([], env);
  const { id } = await createJob(server.url, job);
  const finishedAtKills: number[] = [];
  for (let kill_ = 0; kill_ < kills; kill_ += 1) {
    await sleep(100 + Math.random() * 1900);
    const { dialogue_counts: counts } = await jobReaches(server.url, id, () => true);
    finishedAtKills.push(counts["completed"] ?? 0);
    await kill(server);
    server = await startServerProcess([], env);
  }
  const whole = await jobReaches(server.url, id);
  console.log(`dialogues finished at each kill: ${finishedAtKills.join(", ")}`);
  expect(finishedAtKills[0]).toBeLessThan(count);
  await expectUndisturbed(server.url, whole);
  expect(await server.stop()).toBe(0);
});

it("two gateways on one PostgreSQL share a job, and one that is killed half-way leaves its dialogues to the other", async () => {
  const env = { REALCHAT_LEASE: "2", DATABASE_URL: await postgres.createDatabase("shared") };
  const [first, second] = [await startServerProcess([], env), await startServerProcess([], env)];
  const { id } = await createJob(first.url, job);
  await jobReaches(first.url, id, ({ dialogue_counts: counts }) => (counts["completed"] ?? 0) >= count / 2);
  await kill(first);
  const whole = await jobReaches(second.url, id);
  await expectUndisturbed(second.url, whole);
  const players = new Set<unknown>();
  for (let index = 0; index < count; index += 1) {
    const response = await fetch(`${second.url}/v1/selfplay/jobs/${id}/dialogues/${index}`);
    players.add(((await response.json()) as { gateway: string }).gateway);
  }
  expect(players.size).toBe(2);
  expect(await second.stop()).toBe(0);
});
