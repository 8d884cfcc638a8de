// What a recipe leaves is imported, compared with what the checkpoint computes, and served, or the models folder stays as it was.
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { readManifest, verifyFiles } from "../../../runtime/manifest.ts";
import { parseTrainArguments, type TrainOptions } from "../../../training/train/cli-options.ts";
import { train, type Trainer } from "../../../training/train/train.ts";
import { editJson } from "../../support/checkpoints.ts";
import { type RecordedRun, recordedRun, scripted, sha256, startEvent, template } from "./recorded-run.ts";

const never = new AbortController().signal;
let folder: string;
let models: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "train-"));
  models = join(folder, "models");
  onTestFinished(() => rm(folder, { recursive: true }));
});

function optionsFor({ dataFolder, checkpoint, runFolder }: RecordedRun, ...more: readonly string[]): TrainOptions {
  const own = [`--data=${dataFolder}`, `--base=${checkpoint}`, `--run-folder=${runFolder}`, `--out=${models}`];
  const args = [...own, "--id=mine", "--role=user", "--precision=float32", "--lr=0.001", ...more];
  const command = parseTrainArguments(args, new Date("2026-01-02T03:04:05Z"));
  if (command.kind !== "train") throw new Error(`not a training: ${JSON.stringify(command)}`);
  return command.options;
}

/** Says that the recorded checkpoint is what came out. */
const trainerOf = ({ checkpoint }: RecordedRun): Trainer => ({
  check: () => Promise.resolve(),
  command: scripted([
    startEvent,
    { event: "done", result: checkpoint, steps: 40, best: 1.25, best_step: 30 },
    { event: "end" },
  ]),
});

/** Fails the test when it is started. */
const untouched: Trainer = {
  check: () => Promise.reject(new Error("the recipe was started")),
  command: scripted([]),
};

const go = (options: TrainOptions, trainer: Trainer) =>
  train(options, trainer, { onEvent: () => {}, onImport: () => {} }, never);

const expectNothing = async () => expect(await readdir(models)).toEqual([]);

describe("a training that worked", () => {
  test("puts a whole model in place that computes what the checkpoint computes, and notes where it comes from", async () => {
    const run = await recordedRun(folder);
    const outcome = await go(optionsFor(run), trainerOf(run));
    if (outcome.kind !== "registered") throw new Error(outcome.kind);
    const { folder: model, check } = outcome.registered;
    expect(model).toBe(join(models, "mine"));
    expect(check).toMatchObject({
      precision: "float32",
      positions: 53,
      topAgreement: 1,
      examples: 2,
      trainedTokens: 51,
    });
    expect(check.maxDifference).toBeLessThan(1e-4);
    expect(Math.abs(check.importedLoss - check.checkpointLoss)).toBeLessThan(1e-5);
    const manifest = await readManifest(model);
    await verifyFiles(model, manifest, never);
    expect(manifest.provenance).toMatchObject({
      source: `Trained on ${run.dataFolder}`,
      baseModel: "checkpoint",
      training: {
        recipe: "onnx",
        settings: { lr: "0.001" },
        steps: 40,
        heldoutLoss: 1.25,
        bestStep: 30,
        role: "user",
        templateHash: sha256(template),
        dataSha256: { "train.jsonl": sha256(await readFile(join(run.dataFolder, "train.jsonl"), "utf8")) },
        importCheck: { precision: "float32", positions: 53 },
      },
    });
    expect(await readdir(models)).toEqual(["mine"]);
  });

  test("at eight bits, too", async () => {
    const run = await recordedRun(folder);
    const outcome = await go(optionsFor(run, "--precision=int8"), trainerOf(run));
    expect(outcome).toMatchObject({ kind: "registered", registered: { check: { precision: "int8" } } });
  });

  test("replaces a model only when told to", async () => {
    const run = await recordedRun(folder);
    await go(optionsFor(run), trainerOf(run));
    await expect(go(optionsFor(run), untouched)).rejects.toThrow("--force replaces it once the training is done");
    expect(await go(optionsFor(run, "--force"), trainerOf(run))).toMatchObject({ kind: "registered" });
    expect(await readdir(models)).toEqual(["mine"]);
  });
});

const digestOf = async ({ dataFolder }: RecordedRun) => sha256(await readFile(join(dataFolder, "train.jsonl"), "utf8"));

describe("a run that a recipe has finished elsewhere", () => {
  const done = { event: "done", result: "/elsewhere/run/result", steps: 40, best: 1.25, best_step: 30 };
  const settings = {
    data: "/elsewhere/data",
    base: "/elsewhere/base",
    lr: 0.001,
    train_on: "labels",
    pack: false,
    resume: true,
  };

  async function brought(...events: readonly object[]): Promise<RecordedRun> {
    const run = await recordedRun(folder);
    await rename(run.checkpoint, join(run.runFolder, "result"));
    await writeFile(join(run.runFolder, "settings.json"), JSON.stringify(settings));
    await writeFile(join(run.runFolder, "log.jsonl"), events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    return { ...run, checkpoint: join(run.runFolder, "result") };
  }

  test("is imported, checked and registered with the settings that it tells of, and nothing is started", async () => {
    const digest = await digestOf(await recordedRun(join(folder, "other")));
    const run = await brought({ ...startEvent, train_sha256: digest }, done, { event: "end" });
    const outcome = await go(optionsFor(run, "--trained"), untouched);
    if (outcome.kind !== "registered") throw new Error(outcome.kind);
    const { provenance } = await readManifest(outcome.registered.folder);
    expect(provenance).toMatchObject({
      training: {
        settings: { lr: 0.001, "train-on": "labels" },
        steps: 40,
        heldoutLoss: 1.25,
        importCheck: { positions: 53 },
      },
    });
    expect(JSON.stringify(provenance)).not.toContain("elsewhere");
  });

  test("is refused when it has not ended, when it is no run, and when other examples are named than it was trained on", async () => {
    await expect(go(optionsFor(await recordedRun(folder), "--trained"), untouched)).rejects.toThrow(
      "log.jsonl does not exist",
    );
    await rm(join(folder, "run"), { recursive: true });
    const early = await brought(startEvent, { event: "interrupted", step: 3 });
    await expect(go(optionsFor(early, "--trained"), untouched)).rejects.toThrow("tells of no finished training");
    await rm(join(folder, "run"), { recursive: true });
    const other = await brought({ ...startEvent, train_sha256: sha256("other") }, done);
    await expect(go(optionsFor(other, "--trained"), untouched)).rejects.toThrow(`with SHA-256 ${sha256("other")}`);
  });
});

describe("before anything is trained", () => {
  test("a template that is not the examples' own is refused", async () => {
    const run = await recordedRun(folder);
    await editJson(join(run.checkpoint, "tokenizer_config.json"), { chat_template: `${template}!` });
    const refused = go(optionsFor(run), untouched);
    await expect(refused).rejects.toThrow(sha256(template));
    await expect(refused).rejects.toThrow("is not the one that the examples were written with");
  });

  test("an export of the other role is refused", async () => {
    const run = await recordedRun(folder);
    await editJson(join(run.dataFolder, "meta.json"), { role: "assistant" });
    await expect(go(optionsFor(run), untouched)).rejects.toThrow("trains the assistant's turns, and --role is user");
  });

  test("a base may be trained on either export, since all of it is in the loss", async () => {
    const run = await recordedRun(folder);
    await editJson(join(run.dataFolder, "meta.json"), { role: "assistant" });
    expect(await go(optionsFor(run, "--train-on=all"), trainerOf(run))).toMatchObject({ kind: "registered" });
  });

  test.each([
    ["of another format", { format: "trl" }, 'is an export of format "trl", and the recipe reads "tokenized"'],
    ["without its model", { model: null }, "field model.templateHash is missing"],
  ])("an export %s is refused", async (_name, change, sentence) => {
    const run = await recordedRun(folder);
    await editJson(join(run.dataFolder, "meta.json"), change);
    await expect(go(optionsFor(run), untouched)).rejects.toThrow(sentence);
  });

  test("a folder that is no export is refused", async () => {
    const run = await recordedRun(folder);
    await rm(join(run.dataFolder, "train.jsonl"));
    await expect(go(optionsFor(run), untouched)).rejects.toThrow("it has no train.jsonl");
    await rm(join(run.dataFolder, "meta.json"));
    await expect(go(optionsFor(run), untouched)).rejects.toThrow("is no export to train on");
  });
});

describe("a model that must not be served", () => {
  test("one whose checkpoint came out with another template", async () => {
    const run = await recordedRun(folder);
    // The base has the right one; what the recipe hands over has not.
    const other = await recordedRun(join(folder, "other"));
    await editJson(join(other.checkpoint, "tokenizer_config.json"), { chat_template: `${template}!` });
    await expect(go(optionsFor(run), trainerOf(other))).rejects.toThrow(/chat template .* is not the one/);
    await expectNothing();
  });

  test("one that computes something else than its checkpoint", async () => {
    const run = await recordedRun(folder, 0.01);
    await expect(go(optionsFor(run), trainerOf(run))).rejects.toThrow(
      /does not compute what the checkpoint computes: logits differ by up to 0\.00\d+ \(at most 0\.002\)/,
    );
    await expectNothing();
  });

  test("one whose reference ends too early", async () => {
    const run = await recordedRun(folder);
    await writeFile(join(run.runFolder, "reference.f32"), new Uint8Array(100));
    await expect(go(optionsFor(run), trainerOf(run))).rejects.toThrow("reference.f32: ends too early");
    await expectNothing();
  });
});

test("an interrupted recipe registers nothing and says where it stands", async () => {
  const run = await recordedRun(folder);
  const trainer = { ...untouched, check: () => Promise.resolve() };
  const command = scripted([startEvent, { event: "interrupted", step: 12 }], "process.exitCode = 130");
  expect(await go(optionsFor(run), { ...trainer, command })).toEqual({ kind: "interrupted", step: 12 });
  expect(await readdir(models).catch(() => [])).toEqual([]);
});
