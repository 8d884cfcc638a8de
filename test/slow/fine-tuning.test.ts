// The whole way with the real parts: OpenAI's client uploads chats, has the embedded user model fine-tuned in the real gateway,
// follows the job and talks to what came of it, which is better on dialogues that no training saw. And a gateway that is killed
// in the middle changes nothing, not one bit of the weights.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI from "openai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { eventsOf, jobEnds, stepIsTold, uploadChats } from "../support/tuning-client.ts";

const root = join(import.meta.dirname, "..", "..");
const cities = ["Oakland", "San Jose", "Berkeley", "Fresno", "Napa", "Davis", "Concord", "Vallejo"];
const foods = ["Thai", "Mexican", "Italian", "Indian", "Korean"];

/** A user of a kind that the embedded model has never met. */
function piratesChat(index: number): string {
  const [city, food, people] = [cities[index % 8]!, foods[index % 5]!, 2 + (index % 7)];
  const said = [
    `Ahoy there! Find me a ${food} place in ${city}, matey.`,
    `There is one in ${city}. For how many people?`,
    `For ${people} of us scurvy sailors, arr.`,
    `I have booked a table for ${people}.`,
    "Fair winds and thank ye kindly, matey.",
    "Have a nice day.",
  ];
  const messages = said.map((content, turn) => ({ role: turn % 2 === 0 ? "user" : "assistant", content }));
  return JSON.stringify({ messages });
}
const chats = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => piratesChat(from + index));

let folder: string;
const started: ServerProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fine-tuning-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

async function start(dataFolder: string) {
  const server = await startServerProcess([], { REALCHAT_DATA: dataFolder });
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  const opened = { ...server, client };
  started.push(opened);
  return opened;
}

async function create(client: OpenAI, lora: object | null = null) {
  const method = {
    type: "supervised",
    supervised: { hyperparameters: { n_epochs: 3 }, ...(lora === null ? {} : { lora }) },
  };
  return client.fineTuning.jobs.create({
    model: "usergpt",
    training_file: await uploadChats(client, chats(0, 48)),
    validation_file: await uploadChats(client, chats(48, 54)),
    suffix: "pirate",
    seed: 3,
    method: method as OpenAI.FineTuning.JobCreateParams.Method,
  });
}

const folderOf = (dataFolder: string, model: string | null) => join(dataFolder, "models", modelFolderName(model ?? ""));
const results = async (client: OpenAI, ids: readonly string[]) => (await client.files.content(ids[0] ?? "")).text();

/** Nats a token of the user's turns in dialogues that no training saw: of the model, and of its parent. */
async function heldOutLosses(model: string): Promise<[own: number, parents: number]> {
  const [data, json] = [join(folder, "unseen.jsonl"), join(folder, "losses.json")];
  await writeFile(data, chats(60, 72).join("\n"));
  const args = ["training/evaluate/cli.ts", "perplexity", "--model", model, "--against", "usergpt", "--data", data];
  await promisify(execFile)(process.execPath, [...args, "--json", json], { cwd: root });
  const { lines, against } = JSON.parse(await readFile(json, "utf8")) as { lines: Lines; against: { lines: Lines } };
  return [lines[0]?.natsPerToken.value ?? Number.NaN, against.lines[0]?.natsPerToken.value ?? Number.NaN];
}

type Lines = readonly { readonly natsPerToken: { readonly value: number } }[];

describe("a fine-tuning of the embedded user model", () => {
  let csv: string;
  let files: object;

  it("ends with a model that the client talks to, better than its parent on what neither saw", async () => {
    const dataFolder = join(folder, "whole");
    const { client, stop } = await start(dataFolder);
    const { id } = await create(client);
    const done = await jobEnds(client, id);
    expect(done).toMatchObject({ status: "succeeded", error: null });
    const model = done.fine_tuned_model ?? "";
    const events = await eventsOf(client, id);
    const losses = events.flatMap(({ type, data }) =>
      type === "metrics" ? [(data as { train_loss: number }).train_loss] : [],
    );
    expect(losses.length).toBeGreaterThan(10);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 2);

    // At once, and after a restart.
    const said = async (to: OpenAI) => {
      const reply = await to.chat.completions.create({ model, messages: [], temperature: 0 });
      return reply.choices[0]?.message.content ?? "";
    };
    const first = await said(client);
    expect(first).toContain("Ahoy there!");
    csv = await results(client, done.result_files);
    expect(csv.split("\n")).toHaveLength(losses.length + 2);
    const { data } = await client.fineTuning.jobs.checkpoints.list(id);
    expect(data[0]).toMatchObject({ fine_tuned_model_checkpoint: model });
    await stop();
    const again = await start(dataFolder);
    expect(await said(again.client)).toBe(first);
    await again.stop();

    const { provenance, files: written, role, isBatchInvariant } = await readManifest(folderOf(dataFolder, model));
    expect(provenance).toMatchObject({ baseModel: "usergpt", training: { recipe: "onnx", role: "user" } });
    expect({ role, isBatchInvariant }).toEqual({ role: "user", isBatchInvariant: true });
    files = Object.fromEntries(written);
    const [own, parents] = await heldOutLosses(folderOf(dataFolder, model));
    console.log(`held out, nats a token: ${own.toFixed(4)} instead of ${parents.toFixed(4)}`);
    expect(own).toBeLessThan(parents);
  });

  it("comes to the same, bit by bit, when its gateway is killed again and again", async () => {
    const dataFolder = join(folder, "killed");
    let server = await start(dataFolder);
    const { id } = await create(server.client);
    for (const step of [2, 7, 13]) {
      await stepIsTold(server.client, id, step);
      started.splice(started.indexOf(server), 1);
      process.kill(server.pid, "SIGKILL");
      server = await start(dataFolder);
    }
    const done = await jobEnds(server.client, id);
    expect(done).toMatchObject({ status: "succeeded" });
    expect(await results(server.client, done.result_files)).toBe(csv);
    const { files: written } = await readManifest(folderOf(dataFolder, done.fine_tuned_model));
    expect(Object.fromEntries(written)).toEqual(files);
    await expect.poll(() => existsSync(join(dataFolder, "tuning", id))).toBe(false);
  });

  it("with adapters leaves the shape of the model as it is, and learns, too", async () => {
    const dataFolder = join(folder, "adapters");
    const { client } = await start(dataFolder);
    const { id } = await create(client, { rank: 8 });
    const done = await jobEnds(client, id);
    expect(done).toMatchObject({ status: "succeeded", method: { supervised: { lora: { rank: 8, alpha: 16 } } } });
    const [own, parents] = await heldOutLosses(folderOf(dataFolder, done.fine_tuned_model));
    console.log(`with adapters: ${own.toFixed(4)} instead of ${parents.toFixed(4)}`);
    expect(own).toBeLessThan(parents);
  });
});
