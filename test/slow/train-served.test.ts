// The whole circle, with nothing but the gateway: its models talk, the talk becomes examples, a model that it serves is trained on them,
// and it serves what came of that without having stopped.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI from "openai";
import { expect, it, onTestFinished } from "vitest";
import { createJob, jobReaches } from "../support/job-client.ts";
import { writePairFolder } from "../support/pair-folders.ts";
import { startServerProcess } from "../support/server-process.ts";

const root = join(import.meta.dirname, "..", "..");
const id = "ft:usergpt:itself::1";

it("a served model is trained on a self-play job, and served beside its parent", { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "train-served-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const models = join(folder, "models");
  for (const name of ["usergpt", "realm"] as const) await writePairFolder(join(models, name), name, name, name);
  const server = await startServerProcess(["--models", models, "--rescan", "1"]);
  onTestFinished(async () => void (await server.stop()));
  const job = await createJob(server.url, { count: 20, max_turns: 3, seed: 1 });
  await jobReaches(server.url, job.id);

  const run = join(folder, "run");
  const inputs = ["--model=usergpt", `--data=job:${job.id}`, `--url=${server.url}`, "--holdout=0.2", "--learn-end"];
  const training = ["--max-steps=4", "--lr=1e-4", "--batch-tokens=1024", "--threads=1"];
  const place = [`--id=${id}`, "--role=user", `--run-folder=${run}`, `--out=${models}`];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(root, "training/train/cli.ts"), ...inputs, ...training, ...place],
    { cwd: root },
  );
  expect(stdout).toBe(`${join(models, "ft%3Ausergpt%3Aitself%3A%3A1")}\n`);
  // Four steps move weights by less than half a step of their grid: only a dithered import keeps that.
  expect(stderr).toMatch(/int8 against the checkpoint: .* 9\d\.\d %|int8 against the checkpoint: .* 100\.0 %/);
  expect(await readdir(run)).toEqual(expect.arrayContaining(["base", "data", "inputs.json", "result"]));

  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const found = async () => client.models.retrieve(id).catch(() => null);
  while ((await found()) === null) await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await found()).toMatchObject({
    role: "user",
    precision: "int8",
    provenance: {
      parent: "usergpt",
      recipe: "onnx",
      licence: "CC-BY-SA-4.0",
      heldout_loss: expect.any(Number) as number,
      data_sha256: { "train.jsonl": expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      parent_sha256: { "model.safetensors": expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    },
  });
  const dialogue = await fetch(`${server.url}/v1/selfplay/dialogues`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user: id, assistant: "realm", max_turns: 2, seed: 3 }),
  });
  expect(await dialogue.json()).toMatchObject({ object: "selfplay.dialogue", models: { user: { id } } });
  expect(await client.models.delete(id)).toMatchObject({ deleted: true });
});
