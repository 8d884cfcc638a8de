// Models come, change and go while the gateway answers: the real engine over HTTP, with the official client.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { NotFoundError, PermissionDeniedError } from "openai";
import { describe, expect, it, onTestFinished } from "vitest";
import { modelFolderName } from "../../runtime/model-id.ts";
import type { Config } from "../../server/config.ts";
import { startServer } from "../../server/main.ts";
import { openRegistry } from "../../server/registry.ts";
import { captureLog, testConfig } from "../support/app-harness.ts";
import { actOnJob, createJob } from "../support/job-client.ts";
import { writePairFolder } from "../support/pair-folders.ts";

const fineTuned = "ft:usergpt:shop::abc123";

async function start(over: Partial<Config> = {}) {
  const root = await mkdtemp(join(tmpdir(), "hot-models-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const folderOf = (id: string) => join(root, modelFolderName(id));
  await writePairFolder(folderOf("realm"), "realm", "realm", "realm");
  const captured = captureLog();
  const config = testConfig({
    modelRoots: [root],
    slotsPerModel: 4,
    drainTimeoutS: 0,
    device: "cpu",
    rescanS: 0,
    ...over,
  });
  const server = await startServer(config, openRegistry, captured.log, new AbortController().signal);
  onTestFinished(server.drain);
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const load = (id: string) => fetch(`${server.url}/v1/models/${encodeURIComponent(id)}/load`, { method: "POST" });
  const ask = (model: string, seed: number) =>
    client.chat.completions.create({ model, messages: [], seed, max_tokens: 40, temperature: 1 });
  const textOf = async (model: string, seed: number) => (await ask(model, seed)).choices[0]?.message.content ?? "";
  return { root, folderOf, client, load, textOf, url: server.url, ...captured };
}

describe("a model folder that appears", () => {
  it("is served once it is loaded by its id, and says where it comes from", async () => {
    const { folderOf, client, load, textOf } = await start();
    const training = { recipe: "pytorch", job: "ftjob-1", heldoutLoss: 2.5, dataSha256: { "train.jsonl": "aa" } };
    const provenance = {
      baseModel: "usergpt",
      training: { ...training, parent: { sha256: { "model.safetensors": "bb" } } },
    };
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "usergpt", provenance);
    await expect(textOf(fineTuned, 1)).rejects.toThrow(NotFoundError);
    const answer = await load(fineTuned);
    expect(answer.status).toBe(200);
    const told = await client.models.retrieve(fineTuned);
    expect(await answer.json()).toEqual(told);
    expect(told).toMatchObject({
      id: fineTuned,
      role: "user",
      provenance: {
        licence: "CC-BY-SA-4.0",
        parent: "usergpt",
        parent_sha256: { "model.safetensors": "bb" },
        data_sha256: { "train.jsonl": "aa" },
        recipe: "pytorch",
        job: "ftjob-1",
        heldout_loss: 2.5,
      },
    });
    expect(await textOf(fineTuned, 1)).not.toBe("");
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(["realm", fineTuned]);
  });

  it("with a broken content is refused, told to the operator alone, and what was served stays", async () => {
    const { folderOf, load, textOf, lines, root } = await start();
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "usergpt");
    await load(fineTuned);
    const before = await textOf(fineTuned, 1);
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "realm");
    await rm(join(folderOf(fineTuned), "model.onnx.data"));
    const answer = await load(fineTuned);
    expect(answer.status).toBe(400);
    const text = await answer.text();
    expect(text).toContain("model_unusable");
    expect(text).not.toContain(root);
    expect(lines.find(({ message }) => message === "a model cannot be loaded")).toMatchObject({
      id: fineTuned,
      reason: expect.stringContaining("model.onnx.data: listed in manifest.json, but there is no such file"),
    });
    expect(await textOf(fineTuned, 1)).toBe(before);
  });

  it("is found by an id alone: nothing that a request says becomes a path", async () => {
    const { load, client } = await start();
    for (const id of ["../realm", "..%2f..%2fetc", "/etc", "realm/../realm", ".realm", "%00", "REALM"]) {
      expect({ id, status: (await load(id)).status }).toEqual({ id, status: 404 });
    }
    expect((await client.models.list()).data).toHaveLength(1);
  });
});

describe("a model that is replaced", () => {
  it("ends on its old weights what it began, and answers on the new ones whoever comes later", async () => {
    const { folderOf, client, load, textOf } = await start({ slotsPerModel: 8 });
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "usergpt");
    await writePairFolder(folderOf("next"), "next", "usergpt", "realm");
    await load(fineTuned);
    await load("next");
    const seeds = [1, 2, 3, 4, 5, 6];
    const old = await Promise.all(seeds.map((seed) => textOf(fineTuned, seed)));
    const fresh = await Promise.all(seeds.map((seed) => textOf("next", seed)));
    expect(fresh).not.toEqual(old);

    const streams = await Promise.all(
      seeds.map((seed) =>
        client.chat.completions.create({
          model: fineTuned,
          messages: [],
          seed,
          max_tokens: 40,
          temperature: 1,
          stream: true,
        }),
      ),
    );
    const readers = streams.map((stream) => stream[Symbol.asyncIterator]());
    await Promise.all(readers.map((reader) => reader.next()));
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "realm");
    expect((await load(fineTuned)).status).toBe(200);
    expect(await Promise.all(seeds.map((seed) => textOf(fineTuned, seed)))).toEqual(fresh);
    const read = async (reader: (typeof readers)[number]) => {
      let text = "";
      for (let item = await reader.next(); item.done !== true; item = await reader.next()) {
        text += item.value.choices[0]?.delta.content ?? "";
      }
      return text;
    };
    expect(await Promise.all(readers.map(read))).toEqual(old);
  });
});

describe("DELETE", () => {
  it("removes a fine-tuned model with its folder; a stream that it writes goes on to its end", async () => {
    const { folderOf, client, load, textOf, root, url } = await start();
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "usergpt");
    await load(fineTuned);
    const expected = await textOf(fineTuned, 3);
    const request = { model: fineTuned, messages: [], seed: 3, max_tokens: 40, temperature: 1 };
    const stream = await client.chat.completions.create({ ...request, stream: true });
    expect(await client.models.delete(fineTuned)).toEqual({ id: fineTuned, object: "model", deleted: true });
    await expect(textOf(fineTuned, 1)).rejects.toThrow(NotFoundError);
    await expect(client.models.delete(fineTuned)).rejects.toThrow(NotFoundError);
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe(expected);
    expect(await readdir(root)).toEqual(["realm"]);
    expect((await load(fineTuned)).status).toBe(404);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).not.toMatch(/realchat_(slots|model_info)\{[^}]*ft:usergpt/);
    expect(metrics).toMatch(/realchat_sequences_total\{model="ft:usergpt[^}]*role="user"/);
  });

  it("refuses models that were not fine-tuned here", async () => {
    const { client } = await start();
    await expect(client.models.delete("realm")).rejects.toThrow(PermissionDeniedError);
    await expect(client.models.delete("../realm")).rejects.toThrow(NotFoundError);
    expect((await client.models.list()).data).toHaveLength(1);
  });

  it("refuses a model that plays in a job, until the job is cancelled", async () => {
    const { folderOf, client, load, url } = await start();
    await writePairFolder(folderOf(fineTuned), fineTuned, "usergpt", "usergpt");
    await load(fineTuned);
    const job = await createJob(url, { user: fineTuned, assistant: "realm", count: 50, max_turns: 3, seed: 1 });
    await expect(client.models.delete(fineTuned)).rejects.toMatchObject({ status: 409, code: "model_in_use" });
    await expect(client.models.delete(fineTuned)).rejects.toThrow(`plays in the self-play job '${job.id}'`);
    await actOnJob(url, job.id, "cancel");
    expect(await client.models.delete(fineTuned)).toMatchObject({ deleted: true });
  });
});
