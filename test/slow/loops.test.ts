// Loops with the real parts, over HTTP: they play, train and judge in the gateway that serves the models, and a gateway that is killed
// again and again in the middle ends with the dialogues and weights of one that was not, bit by bit.
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { verifyRun } from "../../training/loop/verify.ts";
import { createLoop, loopEnds, loopEvents, loopIs, type WireLoop } from "../support/loop-client.ts";
import { MODELS_FOLDER } from "../support/engine.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { chat, uploadChats } from "../support/tuning-client.ts";

let folder: string;
const started: ServerProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "loops-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

const key = "sk-loop";

async function start(dataFolder: string) {
  const server = await startServerProcess(["--models", MODELS_FOLDER], {
    REALCHAT_DATA: dataFolder,
    REALCHAT_API_KEYS: `${key},another`,
  });
  started.push(server);
  return { ...server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 }) };
}

async function create(client: OpenAI): Promise<WireLoop> {
  const lines = Array.from({ length: 8 }, (_, index) => chat(index));
  return createLoop(client, {
    rounds: 2,
    count: 4,
    max_turns: 3,
    name: "e2e",
    heldout_files: [await uploadChats(client, lines)],
    gate: { rule: "any" },
    // It judges badly, but it is asked as any would be, with the gateway's own key.
    judge: { model: "realm", questions: 2 },
    training: { max_steps: 4, epochs: 4, lr: 0.0003, batch_tokens: 256, checkpoint_every: 1 },
  });
}

interface Made {
  readonly dialogues: readonly string[];
  readonly weights: readonly object[];
}

/** What a loop has made, without what the two cannot have in common: ids of jobs and uploads. */
async function madeBy(dataFolder: string, loop: WireLoop): Promise<Made> {
  const run = join(dataFolder, "loops", loop.id);
  const dialogues = [1, 2].map((round) => readFileSync(join(run, `rounds/${round}/kept.jsonl`), "utf8"));
  const ids = [1, 2].flatMap((round) => ["usergpt", "realm"].map((base) => `ft:${base}:e2e-${round}`));
  const manifests = await Promise.all(ids.map((id) => readManifest(join(dataFolder, "models", modelFolderName(id)))));
  return { dialogues, weights: manifests.map(({ files }) => Object.fromEntries(files)) };
}

let whole: Made;

it("two rounds end with models that are served and talked to, and every file is what its record says", async () => {
  const dataFolder = join(folder, "whole");
  const { client, stop } = await start(dataFolder);
  const loop = await loopEnds(client, (await create(client)).id);
  expect(loop).toMatchObject({
    status: "completed",
    error: null,
    models: { user: "ft:usergpt:e2e-2", assistant: "ft:realm:e2e-2" },
  });
  const reply = await client.chat.completions.create({
    model: loop.models.assistant,
    messages: [{ role: "user", content: "I need a table." }],
  });
  expect(reply.choices[0]?.message.content).toBeTruthy();
  const report = await client.get<{ format: string; roles: { verdict: { checks: { rule: string }[] } }[] }>(
    `/loops/${loop.id}/rounds/2`,
  );
  expect(report).toMatchObject({ format: "realchat-loop-report/1", roles: [{}, {}] });
  const checks = report.roles.map(({ verdict }) => verdict.checks.map(({ rule }) => rule));
  expect(checks).toEqual([
    ["pairs", "held-out"],
    ["pairs", "held-out", "judge"],
  ]);
  const page = await client.get(`/loops/${loop.id}/rounds/1?as=html`).asResponse();
  expect(await page.text()).not.toContain(folder);
  whole = await madeBy(dataFolder, loop);
  await stop();
  const run = join(dataFolder, "loops", loop.id);
  const { problems, rounds } = await verifyRun(run, join(dataFolder, "models"), new AbortController().signal);
  expect({ problems, rounds }).toEqual({ problems: [], rounds: 2 });
});

it("comes to the same, bit by bit, when its gateway is killed again and again", async () => {
  const dataFolder = join(folder, "killed");
  let server = await start(dataFolder);
  const { id } = await create(server.client);
  const log = join(dataFolder, "loops", id, "rounds/1/train-user/log.jsonl");
  const moments: readonly ((loop: WireLoop) => boolean)[] = [
    ({ selfplay_job: job }) => job !== null,
    () => existsSync(log) && readFileSync(log, "utf8").includes('"step":2,'),
    ({ step }) => step === "train-assistant",
    ({ round, step }) => round === 2 && step === "train-user",
  ];
  for (const isTime of moments) {
    const { status } = await loopIs(server.client, id, (loop) => isTime(loop) || loop.status === "completed");
    expect(status).toBe("running");
    started.splice(
      started.findIndex(({ pid }) => pid === server.pid),
      1,
    );
    process.kill(server.pid, "SIGKILL");
    server = await start(dataFolder);
  }
  const loop = await loopEnds(server.client, id);
  expect(loop).toMatchObject({ status: "completed", error: null });
  expect(await madeBy(dataFolder, loop)).toEqual(whole);
  const ends = (await loopEvents(server.client, id)).filter(({ message }) => message.includes("is over"));
  expect(ends).toHaveLength(2);
});
