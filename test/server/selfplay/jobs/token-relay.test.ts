// Tokens of dialogues that another gateway plays, on a real PostgreSQL server.
import { Client } from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createServices } from "../../../../server/services.ts";
import type { JobService } from "../../../../server/selfplay/jobs/job-service.ts";
import { jobEventFrames } from "../../../../server/selfplay/jobs/job-events.ts";
import { captureLog, scriptedCatalog, testConfig, testMetrics } from "../../../support/app-harness.ts";
import { type PostgresServer, startPostgres } from "../../../support/postgres.ts";
import { type ScriptedModel, scriptedModel } from "../../../support/scripted-model.ts";

let server: PostgresServer;
let databaseUrl: string;
beforeAll(async () => {
  server = await startPostgres();
  databaseUrl = await server.createDatabase("relay");
});
afterAll(() => server.stop());

interface Told {
  readonly type: string;
  readonly dialogue?: number;
  readonly role?: string;
  readonly turn?: number;
  readonly text?: string;
  readonly content?: string;
}

/** Longer than a message may be, with letters that JSON writes longer and pairs that may not be cut. */
const longReply = `${'"\n\u0001'.repeat(1500)}${"😀".repeat(2500)} `;

/** Asks and answers once its first word was waited for. */
function players() {
  const isStepped = true;
  const user = scriptedModel({
    info: { id: "usergpt", role: "user", responseRole: "user" },
    isStepped,
    reply: (_, index) => ({ pieces: ["what", " is", ` ${index}`] }),
  });
  const assistant = scriptedModel({ reply: { pieces: [longReply, "iron", " oxide"] }, isStepped });
  return [user, assistant] as const;
}

function gateway(models: readonly ScriptedModel[]): JobService {
  const metrics = testMetrics();
  metrics.describe(models.map(({ info }) => info));
  const config = testConfig({ databaseUrl });
  const services = createServices({ catalog: scriptedCatalog(models), config, log: captureLog().log, metrics });
  onTestFinished(async () => {
    await services.drain(AbortSignal.abort());
    await services.close();
  });
  return services.jobs;
}

const isOf =
  ({ dialogue, role, turn }: Partial<Told>) =>
  (event: Told) =>
    event.dialogue === dialogue && event.role === role && event.turn === turn;

async function follow(jobs: JobService, id: string, told: Told[]): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  for await (const frame of jobEventFrames(jobs, id, { after: 0, hasTokens: true }, signal)) {
    const data = /^data: (.*)$/m.exec(frame)?.[1] ?? "";
    if (data !== "[DONE]") told.push(JSON.parse(data) as Told);
  }
}

/** Lets models say everything they are asked for until `isOver`. */
async function stepUntil(models: readonly ScriptedModel[], isOver: () => Promise<boolean>): Promise<void> {
  while (!(await isOver())) {
    for (const model of models) model.step();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test("a reader at another gateway is told every token of every turn before the turn, however long it is", async () => {
  const models = players();
  const player = gateway(models);
  const other = gateway([]);
  const body = { count: 3, user: "usergpt", assistant: "realm", max_turns: 2, seed: 1 };
  const { id } = await player.create(body);
  await models[0].called(0);
  const told: Told[] = [];
  const reading = follow(other, id, told);
  await expect.poll(() => player.hub.hasListeners(id), { timeout: 10_000 }).toBe(true);
  await stepUntil(models, async () => (await player.retrieve(id)).status === "completed");
  await reading;

  const turns = told.filter(({ type }) => type === "turn");
  expect(turns).toHaveLength(3 * 2 * 2);
  expect(turns.find(isOf({ dialogue: 0, role: "assistant", turn: 2 }))?.content).toBe(`${longReply}iron oxide`);
  for (const turn of turns) {
    const tokens = told.slice(0, told.indexOf(turn)).filter((event) => event.type === "token" && isOf(turn)(event));
    expect(tokens.map(({ text }) => text).join("") === turn.content).toBe(true);
    expect(tokens.every(({ text }) => text?.isWellFormed())).toBe(true);
  }
});

test("nothing is sent while nobody follows a job elsewhere, and a lost connection is opened again", async () => {
  const models = players();
  const player = gateway(models);
  const other = gateway([]);
  const { id } = await player.create({ count: 1, user: "usergpt", assistant: "realm", max_turns: 4, seed: 1 });
  await models[0].called(0);
  const heard: string[] = [];
  const spy = new Client({ connectionString: databaseUrl });
  await spy.connect();
  onTestFinished(() => spy.end());
  spy.on("notification", ({ channel }) => heard.push(channel));
  await spy.query(`LISTEN "realchat_tokens_${id}"`);
  const turnsOf = async () => (await player.retrieve(id)).turns;
  await stepUntil(models, async () => (await turnsOf()) >= 2);
  await spy.query("SELECT 1");
  expect(heard).toEqual([]);

  const told: Told[] = [];
  const reading = follow(other, id, told);
  await expect.poll(() => player.hub.hasListeners(id), { timeout: 10_000 }).toBe(true);
  const listeners = "FROM pg_stat_activity WHERE application_name LIKE '%listener' AND datname = 'relay'";
  const cut = await spy.query<{ pid: number }>(`SELECT pid, pg_terminate_backend(pid) ${listeners}`);
  expect(cut.rowCount).toBe(2);
  const pids = cut.rows.map(({ pid }) => pid);
  const count = async () => (await spy.query(`SELECT ${listeners} AND pid <> ALL($1)`, [pids])).rowCount;
  await expect.poll(count, { timeout: 10_000 }).toBe(2);
  await stepUntil(models, async () => (await player.retrieve(id)).status === "completed");
  await reading;
  expect(told.some((event) => event.type === "token" && isOf({ dialogue: 0, role: "assistant", turn: 4 })(event))).toBe(
    true,
  );
});
