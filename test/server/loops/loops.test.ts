// Loops as a client sees them, over scripted processes: what they tell, how they are steered, and what else waits for them.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../../../server/config.ts";
import { createLoop, loopEnds, loopEvents, loopIs, retrieveLoop } from "../../support/loop-client.ts";
import { refusal } from "../../support/refusal.ts";
import type { LoopPace } from "../../support/scripted-loop-cli.ts";
import { jobEnds, jobIs, uploadChats } from "../../support/tuning-client.ts";
import { setLoopPace, setPace, type TuningGateway, tuningGateway } from "../../support/tuning-gateway.ts";

let gateway: TuningGateway;
let client: OpenAI;
let config: Config;
let heldout: string;
beforeAll(async () => {
  gateway = await tuningGateway({}, { apiKeys: [] }, ["usergpt", "realm"]);
  ({ client, config } = gateway);
  heldout = await uploadChats(client);
});
afterAll(() => gateway.stop());
afterEach(() => expect(gateway.errors()).toEqual([]));

async function begin(pace: Partial<LoopPace> = {}, over: object = {}) {
  setLoopPace(config, pace);
  return createLoop(client, { rounds: 2, count: 10, heldout_files: [heldout], ...over });
}

interface Start {
  readonly flags: readonly string[];
  readonly folder: string;
}

/** Each start of a loop's process: its flags, and the folder it ran in. */
const startsOf = (id: string): readonly Start[] =>
  readFileSync(join(config.dataFolder, "loops", id, "started.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Start);

const inStep = (id: string, step: string) => loopIs(client, id, (loop) => loop.step === step);

it("a loop goes through its rounds, tells of every step, and keeps a report of each", async () => {
  const { id } = await begin(
    {},
    { name: "whole", training: { max_steps: 7, gradient_checkpointing: true }, selfplay: { simulator: "learned" } },
  );
  const done = await loopEnds(client, id);
  expect(done).toMatchObject({
    status: "completed",
    round: 2,
    step: null,
    error: null,
    models: { user: "ft:usergpt:whole-2", assistant: "realm" },
  });
  const events = await loopEvents(client, id);
  const messages = events.map(({ message }) => message);
  expect(messages).toEqual([
    `Created loop: ${id}`,
    "Round 1: play",
    "Round 1: train-user",
    "Round 1: report",
    "Round 1 is over: accepted ft:usergpt:whole-1",
    "Round 2: play",
    "Round 2: train-user",
    "Round 2: report",
    "Round 2 is over: accepted ft:usergpt:whole-2",
    "The loop has completed",
  ]);
  expect((await loopEvents(client, id, 8)).map(({ message }) => message)).toEqual(messages.slice(8));

  const rounds = await client.get<{ data: object[] }>(`/loops/${id}/rounds`);
  expect(rounds.data).toMatchObject([
    { object: "loop.round", loop_id: id, round: 1, accepted_models: ["ft:usergpt:whole-1"] },
    { round: 2, accepted_models: ["ft:usergpt:whole-2"] },
  ]);
  expect(await client.get(`/loops/${id}/rounds/2`)).toEqual({ round: 2 });
  const read = async (as: string) => {
    const response = await client.get(`/loops/${id}/rounds/1?as=${as}`).asResponse();
    return { text: await response.text(), headers: response.headers };
  };
  expect((await read("markdown")).text).toBe("# Round 1\n");
  const page = await read("html");
  expect(page.text).toBe("<h1>Round 1</h1>\n");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  // What models wrote stands in it: nothing of it may run.
  expect(page.headers.get("content-security-policy")).toMatch(/^sandbox; default-src 'none'/);
  expect(await refusal(client.get(`/loops/${id}/rounds/3`))).toMatchObject({ status: 404, code: "round_not_found" });
});

it("its process runs among the uploads, and is told nothing of the data folder's place", async () => {
  const { id } = await begin(
    {},
    {
      name: "place",
      seed: 5,
      max_turns: 4,
      learn_end: true,
      gate: { rule: "any" },
      judge: { model: "realm", questions: 5 },
    },
  );
  await loopEnds(client, id);
  const [start] = startsOf(id);
  expect(start?.folder).toBe("files");
  const flags = new Set(start?.flags);
  for (const flag of [
    "--rounds=2",
    "--count=10",
    "--name=place",
    "--seed=5",
    "--max-turns=4",
    "--learn-end",
    "--gate=any",
    `--heldout=${heldout}`,
    `--run-folder=../loops/${id}`,
    "--out=../models",
    "--url=http://gateway",
    "--judge=realm",
    "--judge-questions=5",
    "--judge-url=http://gateway/v1",
  ]) {
    expect(flags).toContain(flag);
  }
  expect([...flags].filter((flag) => flag.includes(config.dataFolder))).toEqual([]);
});

describe("what is done to a loop:", () => {
  it("a paused one waits and leaves the device to others; resumed, it goes on with the step that it was in", async () => {
    const { id } = await begin({ stepMs: 1e9 });
    await inStep(id, "play");
    setPace(config, {});
    const other = await client.fineTuning.jobs.create({
      model: "usergpt",
      training_file: await uploadChats(client),
    });
    // Looked through at once, but not trained while the loop runs.
    await jobIs(client, other.id, ({ status }) => status === "queued");
    expect(await client.post(`/loops/${id}/pause`)).toMatchObject({ status: "paused" });
    expect(await jobEnds(client, other.id)).toMatchObject({ status: "succeeded" });
    expect(await retrieveLoop(client, id)).toMatchObject({ status: "paused", round: 1, step: "play", progress: null });
    setLoopPace(config, {});
    expect(await client.post(`/loops/${id}/resume`)).toMatchObject({ status: "queued" });
    expect(await loopEnds(client, id)).toMatchObject({ status: "completed" });
    const starts = startsOf(id);
    expect(starts.map(({ flags }) => flags.includes("--resume"))).toEqual([false, true]);
    const messages = (await loopEvents(client, id)).map(({ message }) => message);
    expect(messages.slice(1, 5)).toEqual([
      "Round 1: play",
      "The loop was paused",
      "The loop was resumed",
      "Round 1: play",
    ]);
  });

  it("a cancelled one ends its process, and what it had made stays until it is deleted", async () => {
    const { id } = await begin({ stepMs: 1e9 });
    await inStep(id, "play");
    expect(await refusal(client.delete(`/loops/${id}`))).toMatchObject({ status: 409, code: "loop_not_ended" });
    expect(await client.post(`/loops/${id}/cancel`)).toMatchObject({ status: "cancelled" });
    // The next one gets its turn.
    const next = await begin({});
    expect(await loopEnds(client, next.id)).toMatchObject({ status: "completed" });
    const folder = join(config.dataFolder, "loops", id);
    expect(existsSync(folder)).toBe(true);
    expect(await client.delete(`/loops/${id}`)).toEqual({ id, object: "loop", deleted: true });
    expect(existsSync(folder)).toBe(false);
    expect(await refusal(retrieveLoop(client, id))).toMatchObject({ status: 404 });
  });

  it("one that has ended cannot be ended, paused or resumed", async () => {
    const { id } = await begin({}, { rounds: 1 });
    await loopEnds(client, id);
    for (const [action, verb] of [
      ["cancel", "cancelled"],
      ["pause", "paused"],
      ["resume", "resumed"],
    ]) {
      expect(await refusal(client.post(`/loops/${id}/${action}`))).toMatchObject({
        status: 409,
        code: "loop_status",
        message: `The loop '${id}' is completed and cannot be ${verb}.`,
      });
    }
  });

  it("its files and models cannot be deleted before it has ended", async () => {
    const own = await uploadChats(client);
    const { id } = await begin({ stepMs: 1e9 }, { heldout_files: [own], name: "keeper" });
    await inStep(id, "play");
    expect(await refusal(client.files.delete(own))).toMatchObject({
      status: 409,
      code: "file_in_use",
      message: `The file '${own}' is in use by the loop '${id}': cancel it before the file is deleted.`,
    });
    await client.post(`/loops/${id}/cancel`);
    expect(await client.files.delete(own)).toMatchObject({ deleted: true });
  });
});

describe("a loop that goes wrong", () => {
  it("is taken up again when its process vanishes", async () => {
    const { id } = await begin({ crashes: ["train-user"] }, { rounds: 1 });
    expect(await loopEnds(client, id)).toMatchObject({ status: "completed" });
    const messages = (await loopEvents(client, id)).map(({ message }) => message);
    expect(messages).toContain("The loop broke off and is taken up again: out of memory");
    expect(messages.filter((message) => message === "Round 1: play")).toHaveLength(1);
  });

  it("fails when its process vanishes again and again in the same step", async () => {
    // The first time it had come forward before.
    const { id } = await begin({ crashes: Array.from({ length: 4 }, () => "train-user") }, { rounds: 1 });
    expect(await loopEnds(client, id)).toMatchObject({
      status: "failed",
      error: "The loop broke off 3 times in a row: out of memory",
    });
  });

  it("fails with its own sentence", async () => {
    const { id } = await begin({ failsAt: "train-user" }, { rounds: 1 });
    expect(await loopEnds(client, id)).toMatchObject({
      status: "failed",
      error: "round 1 was made from another model than there is now",
    });
  });
});

it("metrics count loops by their status", async () => {
  const text = await gateway.metrics();
  expect(text).toMatch(/^realchat_loops\{status="completed"\} [1-9]/m);
  expect(text).toMatch(/^realchat_loops\{status="failed"\} 2$/m);
});
