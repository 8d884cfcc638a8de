// What a training starts from is made in its run folder, once: a served model's checkpoint and an export of conversations. A
// resumed run takes it up, and refuses to go on with something else.
import { cp, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { parseTrainArguments, type TrainOptions } from "../../../training/train/cli-options.ts";
import { readExportFolder } from "../../../training/train/export-folder.ts";
import { prepareRun } from "../../../training/train/prepare-run.ts";

const never = new AbortController().signal;
const repositoryModels = join(import.meta.dirname, "../../../models");

let folder: string;
let talks: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "prepare-run-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  talks = join(folder, "talks.jsonl");
  const rows = ["San Jose", "Oakland", "Napa", "Fresno", "Davis", "Chico", "Lodi", "Reno"].map((city) => ({
    messages: [
      { role: "user", content: "I need a table for two." },
      { role: "assistant", content: "Where shall it be?" },
      { role: "user", content: `In ${city}, please.` },
      { role: "assistant", content: "I have found one." },
    ],
  }));
  await writeFile(talks, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});

function optionsOf(...more: readonly string[]): TrainOptions {
  const own = [
    `--run-folder=${join(folder, "run")}`,
    `--out=${join(folder, "models")}`,
    "--id=ft:mine::1",
    "--role=user",
  ];
  const command = parseTrainArguments([...own, ...more], new Date("2026-01-02T03:04:05Z"));
  if (command.kind !== "train") throw new Error(JSON.stringify(command));
  return command.options;
}

async function prepare(...more: readonly string[]) {
  const notes: string[] = [];
  const hooks = { onNote: (sentence: string) => notes.push(sentence), onWeights: () => {} };
  return { ready: await prepareRun(optionsOf(...more), hooks, never), notes };
}

const talk = () => ["--model=usergpt", `--data=${talks}`] as const;
const inRun = (...names: readonly string[]) => join(folder, "run", ...names);

describe("a served model and conversations", () => {
  test("become a checkpoint and an export in the run folder, and the training's options name them", async () => {
    const { ready, notes } = await prepare(...talk(), "--learn-end", "--holdout=0.25", "--lr=0.001");
    expect(ready).toMatchObject({
      dataFolder: inRun("data"),
      baseFolder: inRun("base"),
      tokenizerFolder: inRun("base"),
      recipeArguments: [`--base=${inRun("base")}`, "--lr=0.001"],
    });
    expect(await readdir(inRun("base"))).toEqual(
      expect.arrayContaining(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
    );
    expect(await readExportFolder(inRun("data"), never)).toMatchObject({ role: "user" });
    const meta = JSON.parse(await readFile(inRun("data", "meta.json"), "utf8")) as Record<string, unknown>;
    expect(meta).toMatchObject({ format: "tokenized", learnsEnd: true, counts: { conversations: 8 } });
    expect(notes.join("\n")).toMatch(/wrote usergpt as the checkpoint .*\n\d+ conversations to train on, \d+ held out/);
  });

  test("make a model like its parent, but for what the command line says", async () => {
    const like = (await prepare(...talk())).ready.importing;
    expect(like).toMatchObject({
      id: "ft:mine::1",
      precision: "int8",
      blockSize: 32,
      isDithered: true,
      contextWindow: 2048,
      endOfConversation: "<|endconversation|>",
      isBatchInvariant: true,
      licence: "CC-BY-SA-4.0",
      baseModel: "usergpt",
    });
    await rm(inRun(), { recursive: true });
    const other = (await prepare(...talk(), "--precision=float32", "--licence=MIT")).ready.importing;
    expect(other).toMatchObject({ precision: "float32", headPrecision: null, isDithered: false, licence: "MIT" });
  });

  test("are found in the folder that the result goes to first", async () => {
    await cp(join(repositoryModels, "usergpt"), join(folder, "models", "ft%3Aolder"), { recursive: true });
    const { ready } = await prepare("--model=ft:older", `--data=${talks}`);
    expect(ready.importing.baseModel).toBe("usergpt");
  });
});

test("an export is used as it is, with a model or without one", async () => {
  await prepare(...talk());
  const data = join(folder, "export");
  await cp(inRun("data"), data, { recursive: true });
  await rm(inRun(), { recursive: true });
  const { ready } = await prepare("--model=usergpt", `--data=${data}`);
  expect(ready.dataFolder).toBe(data);
  expect((await readdir(inRun())).toSorted()).toEqual(["base", "inputs.json"]);
  const plain = optionsOf("--base=checkpoint", `--data=${data}`);
  expect(await prepareRun(plain, { onNote: () => {}, onWeights: () => {} }, never)).toBe(plain);
});

describe("a run that is there already", () => {
  test("is taken up by --resume: nothing is made again", async () => {
    await prepare(...talk());
    const long = new Date("2020-01-01");
    for (const path of [inRun("base", "model.safetensors"), inRun("data", "train.jsonl")])
      await utimes(path, long, long);
    const { ready, notes } = await prepare(...talk(), "--resume");
    expect(notes).toEqual([]);
    expect(ready).toMatchObject({ dataFolder: inRun("data"), isResuming: true });
    for (const path of [inRun("base", "model.safetensors"), inRun("data", "train.jsonl")]) {
      expect((await stat(path)).mtime).toEqual(long);
    }
  });

  test("and was killed between the two: --resume makes what is missing", async () => {
    await prepare(...talk());
    const notes = JSON.parse(await readFile(inRun("inputs.json"), "utf8")) as { model: unknown };
    await writeFile(inRun("inputs.json"), JSON.stringify({ model: notes.model }));
    await writeFile(inRun("data", "train.jsonl"), "half");
    const resumed = await prepare(...talk(), "--resume");
    expect(resumed.notes[0]).toMatch(/conversations to train on/);
    expect(await readFile(inRun("data", "train.jsonl"), "utf8")).not.toBe("half");
  });

  test("is not begun anew over it", async () => {
    await prepare(...talk());
    await expect(prepare(...talk())).rejects.toThrow("holds an earlier run: --resume goes on with it");
  });

  test("is refused with another model, other data or other flags", async () => {
    await prepare(...talk());
    const other = join(folder, "models", "other");
    await cp(join(repositoryModels, "usergpt"), other, { recursive: true });
    const path = join(other, "manifest.json");
    await writeFile(path, (await readFile(path, "utf8")).replace('"id": "usergpt"', '"id": "other"'));
    await expect(prepare("--model=other", `--data=${talks}`, "--resume")).rejects.toThrow("began with another --model");
    await expect(prepare(...talk(), "--resume", "--learn-end")).rejects.toThrow(
      "began with another --data, or other flags",
    );
    await writeFile(talks, await readFile(talks, "utf8").then((text) => text.replace("two", "three")));
    await expect(prepare(...talk(), "--resume")).rejects.toThrow("began with another --data, or other flags");
  });
});

describe("refused before anything is made", () => {
  test.each<[string, () => readonly string[], RegExp]>([
    [
      "conversations without a model",
      () => ["--base=b", `--data=${talks}`],
      /talks\.jsonl is no export: with --model, .* it is exported first$/,
    ],
    ["a job without a model", () => ["--base=b", "--data=job:job_1"], /^job:job_1 is no export/],
    ["a model that is not there", () => ["--model=nobody", `--data=${talks}`], /^--model names no model folder/],
    [
      "a model of the other role",
      () => ["--model=realm", `--data=${talks}`],
      /^the model realm writes the assistant's turns, and --role is user$/,
    ],
    [
      "data that is not there",
      () => ["--model=usergpt", "--data=nowhere.jsonl"],
      /^nowhere\.jsonl cannot be read: there is no such file/,
    ],
  ])("%s", async (_, args, message) => {
    await expect(prepare(...args())).rejects.toThrow(message);
    expect(await readdir(inRun()).catch(() => [])).toEqual([]);
  });

  test("flags for conversations where the data is an export", async () => {
    await prepare(...talk());
    const args = ["--model=usergpt", `--data=${inRun("data")}`, "--resume", "--holdout=0.1"];
    await expect(prepare(...args)).rejects.toThrow(/is an export already: --holdout is for conversations$/);
  });

  test("conversations of which none is left", async () => {
    await writeFile(talks, '{"messages": [{"role": "assistant", "content": "Hello"}]}\n');
    await expect(prepare(...talk())).rejects.toThrow(/no conversation of .*talks\.jsonl is left to train on$/);
    expect(await readdir(inRun())).toEqual(["base", "inputs.json"]);
  });
});
