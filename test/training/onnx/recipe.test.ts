// The recipe as a whole: it learns, it goes on as if never stopped, it refuses what cannot end well, and what it leaves is a
// checkpoint that computes what was trained.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openSafetensors } from "../../../runtime/importer/safetensors.ts";
import { readExamples, totalTokens } from "../../../training/onnx/examples.ts";
import { packedExamples } from "../../../training/onnx/pack.ts";
import { readReference } from "../../../training/train/reference.ts";
import { recordedFolder } from "../../support/checkpoints.ts";
import { dataFolder, loggedSteps, madeExamples, run, stepsOf } from "./run-recipe.ts";

let folder: string;
let data: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "onnx-recipe-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  data = await dataFolder(folder, madeExamples(24, 1), madeExamples(6, 2));
});

const bytesOf = (...path: readonly string[]) => readFile(join(folder, ...path));
const quick = ["--batch-tokens=64", "--lr=0.003", "--evaluate-every=4"];

describe("a training", () => {
  test("learns one batch by heart", async () => {
    const one = await dataFolder(join(folder, "one"), madeExamples(4, 3), []);
    const { steps } = await run({
      data: one,
      run: join(folder, "run"),
      flags: ["--lr=0.01", "--max-steps=60", "--epochs=60"],
    });
    expect(steps[0]?.loss).toBeGreaterThan(4);
    expect(steps.at(-1)?.loss).toBeLessThan(0.05);
  });

  test("says what the protocol asks for", async () => {
    const { events, steps } = await run({ data, run: join(folder, "run"), flags: [...quick, "--epochs=1"] });
    expect(events.map(({ event }) => event)).toEqual(["start", ...steps.map(() => "step"), "checkpoint", "done"]);
    expect(events[0]).toMatchObject({
      step: 0,
      steps: steps.length,
      train_sha256: createHash("sha256")
        .update(await readFile(join(data, "train.jsonl")))
        .digest("hex"),
      train_examples: 24,
      heldout_examples: 6,
      device: "cpu",
      processes: 1,
      cut_examples: 0,
      dropped_examples: 0,
    });
    expect(events.at(-1)).toMatchObject({ result: join(folder, "run/result"), steps: steps.length });
    expect(await loggedSteps(join(folder, "run"))).toEqual(steps);
  });

  test("ends when the held-out loss has not fallen for as many measures as patience has", async () => {
    // Nothing to learn for others: the made-up examples are noise.
    const flags = ["--lr=0.02", "--epochs=50", "--evaluate-every=1", "--patience=3"];
    const { events, steps } = await run({ data, run: join(folder, "run"), flags });
    const losses = steps.map(({ heldoutLoss }) => heldoutLoss ?? Number.NaN);
    const best = Math.min(...losses);
    expect(losses.length - 1 - losses.indexOf(best)).toBe(3);
    expect(losses.length).toBeLessThan(50);
    const done = events.find(({ event }) => event === "done");
    expect(done).toMatchObject({ best, best_step: losses.indexOf(best) + 1 });
    // The result is the best, not the last.
    expect(await referenceLoss("run")).toBeCloseTo(best, 5);
  });

  test("takes the same steps with a batch at once and in two parts", async () => {
    const few = await dataFolder(join(folder, "few"), madeExamples(2, 5), []);
    const flags = ["--lr=0.01", "--epochs=5", "--clip=0"];
    const whole = await run({ data: few, run: join(folder, "whole"), flags });
    const parts = await run({
      data: few,
      run: join(folder, "parts"),
      flags: [...flags, "--batch-tokens=1", "--accumulate=2"],
    });
    expect(parts.steps).toHaveLength(5);
    for (const [index, { loss }] of parts.steps.entries()) expect(loss).toBeCloseTo(whole.steps[index]?.loss ?? 0, 4);
  });

  test("keeps the newest checkpoints only", async () => {
    const flags = [...quick, "--epochs=2", "--checkpoint-every=2", "--keep=3"];
    const { steps } = await run({ data, run: join(folder, "run"), flags });
    const last = steps.length;
    const multiples = [last % 2 === 0 ? [last - 4, last - 2, last] : [last - 3, last - 1, last]].flat();
    const names = await readdir(join(folder, "run/checkpoints"));
    expect(names.toSorted()).toEqual(multiples.map((step) => `step-${step}.safetensors`).toSorted());
  });
});

describe("an interrupted training", () => {
  const flags = [...quick, "--max-steps=10", "--epochs=10", "--weight-decay=0.1"];

  test.each([
    ["between two steps", (abort: AbortController) => abort.abort()],
    ["within a pass", (abort: AbortController) => void setTimeout(() => abort.abort(), 1)],
  ])("%s goes on to the same bits as one that was not", async (_name, interrupt) => {
    const whole = await run({ data, run: join(folder, "whole"), flags });
    const stopped = await run({
      data,
      run: join(folder, "parts"),
      flags,
      onEvent: ({ event, step }, abort) => {
        if (event === "step" && step === 5) interrupt(abort);
      },
    });
    expect(stopped.isDone).toBe(false);
    const at = stopped.events.at(-1);
    expect(at).toMatchObject({ event: "interrupted", step: stopped.steps.length });
    expect(await readdir(join(folder, "parts/checkpoints"))).toEqual([`step-${stopped.steps.length}.safetensors`]);

    const resumed = await run({ data, run: join(folder, "parts"), flags: [...flags, "--resume"] });
    expect(resumed.events[0]).toMatchObject({ event: "start", step: stopped.steps.length });
    expect(await loggedSteps(join(folder, "parts"))).toEqual(whole.steps);
    for (const name of ["checkpoints/step-10.safetensors", "result/model.safetensors", "reference.f32"]) {
      expect({ name, isEqual: (await bytesOf("parts", name)).equals(await bytesOf("whole", name)) }).toEqual({
        name,
        isEqual: true,
      });
    }
  });

  test("goes on with nothing but the settings and the data it began with", async () => {
    const first = { data, run: join(folder, "run"), flags };
    await run(first);
    await expect(run(first)).rejects.toThrow("holds an earlier run: --resume goes on with it");
    await expect(run({ ...first, flags: [...flags, "--resume", "--seed=2"] })).rejects.toThrow(
      "the run was begun with --seed 1, and cannot go on with 2",
    );
    await writeFile(join(data, "train.jsonl"), `${madeExamples(24, 9).join("\n")}\n`);
    await expect(run({ ...first, flags: [...flags, "--resume"] })).rejects.toThrow("train.jsonl has changed");
  });

  test("whose checkpoint is broken says which file to delete", async () => {
    const first = { data, run: join(folder, "run"), flags };
    await run(first);
    const path = join(folder, "run/checkpoints/step-10.safetensors");
    await writeFile(path, (await readFile(path)).subarray(0, 5000));
    await expect(run({ ...first, flags: [...flags, "--resume"] })).rejects.toThrow(
      /step-10\.safetensors cannot be read .* delete it/,
    );
  });
});

describe("refused", () => {
  test("a loss that is no number any more; the last checkpoint is whole", async () => {
    const flags = [...quick, "--lr=1e30", "--epochs=9", "--clip=0", "--warmup=0", "--checkpoint-every=1"];
    await expect(run({ data, run: join(folder, "run"), flags })).rejects.toThrow(
      /no number any more at step \d+: .*--lr/,
    );
    expect(await readdir(join(folder, "run"))).not.toContain("result");
  });

  test("a training that memory is too small for, unless told to go on", async () => {
    const small = { data, run: join(folder, "run"), availableBytes: 1e6 };
    await expect(run({ ...small, flags: quick })).rejects.toThrow(
      /needs about 0\.\d GB of memory and 0\.0 GB are free: lower --batch-tokens/,
    );
    expect(await readdir(folder)).not.toContain("run");
    expect(await run({ ...small, flags: [...quick, "--max-steps=1", "--ignore-memory"] })).toMatchObject({
      isDone: true,
    });
  });

  test.each([
    [
      "no example in the loss",
      ['{"input_ids":[1,2],"labels":[1,-100]}'],
      "train.jsonl has no example with a token in the loss",
    ],
    [
      "an id beyond the vocabulary",
      ['{"input_ids":[1,64],"labels":[1,64]}'],
      "train.jsonl, line 1: input_ids holds an id outside the model's vocabulary of 64",
    ],
    [
      "a label that is another id",
      ["", '{"input_ids":[1,2],"labels":[1,3]}'],
      "train.jsonl, line 2: a label is neither -100 nor the id at its place",
    ],
    ["lists of two lengths", ['{"input_ids":[1,2],"labels":[1]}'], "has 2 input_ids and 1 labels"],
    ["no object", ["[1]"], "train.jsonl, line 1: must be an object with input_ids and labels"],
  ])("examples with %s", async (_name, lines, sentence) => {
    const broken = await dataFolder(join(folder, "broken"), lines, []);
    await expect(run({ data: broken, run: join(folder, "run") })).rejects.toThrow(sentence);
  });
});

describe("examples", () => {
  test("lose what is beyond the context, and count when nothing is left in the loss", async () => {
    const ids = Array.from({ length: 20 }, (_, at) => 1 + at);
    const row = (from: number) =>
      JSON.stringify({ id: "a", input_ids: ids, labels: ids.map((id, at) => (at >= from ? id : -100)) });
    const long = await dataFolder(join(folder, "long"), [row(5), row(12)], []);
    const { events } = await run({ data: long, run: join(folder, "run"), flags: ["--context=10", "--max-steps=1"] });
    expect(events[0]).toMatchObject({
      train_examples: 1,
      train_tokens: 10,
      trained_tokens: 5,
      cut_examples: 2,
      dropped_examples: 1,
    });
    const config = JSON.parse(await readFile(join(folder, "run/result/config.json"), "utf8")) as Record<
      string,
      unknown
    >;
    expect(config["max_position_embeddings"]).toBe(10);
  });

  test("are all in the loss when everything is trained", async () => {
    const all = await run({ data, run: join(folder, "run"), flags: ["--train-on=all", "--max-steps=1"] });
    const [start] = all.events;
    expect(start?.["trained_tokens"]).toBe(Number(start?.["train_tokens"]) - 24);
  });
});

test("packed examples are sequences of the whole context, with as many tokens and no first ids in the loss", async () => {
  const examples = await readExamples(join(data, "train.jsonl"), {
    isTrainingAll: true,
    contextTokens: 100,
    vocabSize: 64,
  });
  const { items } = packedExamples(examples, 25, 1);
  const [first, ...others] = items.map(({ ids }) => ids.length).toReversed();
  expect(others.every((length) => length === 25)).toBe(true);
  expect(first).toBeLessThanOrEqual(25);
  expect(totalTokens(items)).toBe(totalTokens(examples.items));
  const ignored = items.reduce((sum, { labels }) => sum + labels.filter((label) => label === -100).length, 0);
  expect(ignored).toBe(24);
  const { events } = await run({ data, run: join(folder, "run"), flags: ["--context=25", "--pack", "--max-steps=1"] });
  expect(events[0]).toMatchObject({ train_examples: items.length, train_tokens: totalTokens(items) });
});

describe("the result", () => {
  test("is a checkpoint with the base's configuration and token files to the byte", async () => {
    await run({
      data,
      run: join(folder, "run"),
      base: "qwen3",
      flags: [...quick, "--max-steps=2", "--save-dtype=bfloat16"],
    });
    for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"]) {
      expect(await bytesOf("run/result", name)).toEqual(await readFile(join(recordedFolder("qwen3"), name)));
    }
    const config = JSON.parse((await bytesOf("run/result/config.json")).toString()) as Record<string, unknown>;
    const base = JSON.parse(await readFile(join(recordedFolder("qwen3"), "config.json"), "utf8")) as Record<
      string,
      unknown
    >;
    expect(config).toEqual({ ...base, dtype: "bfloat16" });
    const file = await openSafetensors(join(folder, "run/result/model.safetensors"));
    expect(new Set([...file.tensors.values()].map(({ type }) => type))).toEqual(new Set(["BF16"]));
    await file.close();
  });

  test("of adapters is the merged model: it has the held-out loss that was measured", async () => {
    const flags = [
      ...quick,
      "--method=lora",
      "--lora-rank=4",
      "--lora-alpha=8",
      "--lr=0.02",
      "--max-steps=8",
      "--epochs=9",
    ];
    const { events, steps } = await run({ data, run: join(folder, "run"), base: "qwen2", flags });
    // Rank times the widths of seven matrices: 4 · (64 + 48 + 48 + 64 + 3 · 96), in each of two layers.
    expect(events[0]).toMatchObject({ trained_parameters: 4096 });
    expect(steps.at(-1)?.loss).toBeLessThan((steps[0]?.loss ?? 0) - 0.3);
    expect(await referenceLoss("run")).toBeCloseTo(Math.min(...steps.map(({ heldoutLoss }) => heldoutLoss ?? 99)), 5);
    const file = await openSafetensors(join(folder, "run/adapter/adapter_model.safetensors"));
    expect(file.tensors.size).toBe(2 * 7 * 2);
    expect(file.tensors.get("base_model.model.model.layers.1.mlp.down_proj.lora_A.weight")?.shape).toEqual([4, 64]);
    await file.close();
    const config = JSON.parse((await bytesOf("run/adapter/adapter_config.json")).toString()) as unknown;
    expect(config).toMatchObject({
      peft_type: "LORA",
      r: 4,
      lora_alpha: 8,
      base_model_name_or_path: recordedFolder("qwen2"),
    });
  });

  test.each(["int8", "int4"])("of adapters beside a base in %s computes what was trained", async (precision) => {
    const lora = ["--method=lora", "--lora-rank=4", `--base-precision=${precision}`, "--gradient-checkpointing"];
    const flags = [...quick, ...lora, "--lr=0.02", "--max-steps=8", "--epochs=9"];
    const { events, steps } = await run({ data, run: join(folder, "run"), base: "qwen2", flags });
    expect(events[0]).toMatchObject({ trained_parameters: 4096 });
    expect(steps.at(-1)?.loss).toBeLessThan((steps[0]?.loss ?? 0) - 0.3);
    expect(await referenceLoss("run")).toBeCloseTo(Math.min(...steps.map(({ heldoutLoss }) => heldoutLoss ?? 99)), 5);
  });

  test("of a model from scratch has the shape that flags and file ask for", async () => {
    const file = join(folder, "config-file.json");
    await writeFile(file, JSON.stringify({ model_type: "qwen3", hidden_size: 16, num_hidden_layers: 5, head_dim: 8 }));
    const flags = [
      `--config=${file}`,
      `--tokenizer=${recordedFolder("llama3")}`,
      "--layers=1",
      "--heads=2",
      "--vocab=64",
      "--tied=yes",
    ];
    const options = { data, run: join(folder, "run"), flags: [...flags, "--max-steps=1", "--rope-theta=500"] };
    const { events } = await run({ ...options, base: null });
    // Embedding, four attention matrices, three of the feed-forward part (width 64), five norms.
    const expected = 64 * 16 + 4 * 16 * 16 + 3 * 16 * 64 + 3 * 16 + 2 * 8;
    expect(events[0]).toMatchObject({ parameters: expected, trained_parameters: expected });
    expect(JSON.parse((await bytesOf("run/result/config.json")).toString())).toMatchObject({
      architectures: ["Qwen3ForCausalLM"],
      num_hidden_layers: 1,
      num_key_value_heads: 2,
      intermediate_size: 64,
      rope_theta: 500,
      bos_token_id: 1,
      eos_token_id: 2,
      dtype: "float32",
    });
    // By chance a token of 64 costs ln 64.
    expect(stepsOf(events)[0]?.loss).toBeCloseTo(Math.log(64), 1);
  });

  test("is decided by the seed", async () => {
    for (const [name, seed] of [
      ["one", 1],
      ["again", 1],
      ["two", 2],
    ] as const) {
      await run({ data, run: join(folder, name), flags: [...quick, "--max-steps=2", `--seed=${seed}`] });
    }
    const [one, again, two] = await Promise.all(
      ["one", "again", "two"].map((name) => bytesOf(name, "result/model.safetensors")),
    );
    expect(again).toEqual(one);
    expect(two).not.toEqual(one);
  });
});

/** Nats a token of the reference's examples. */
async function referenceLoss(name: string): Promise<number> {
  let loss = 0;
  let tokens = 0;
  for await (const { lossSum, trainedTokens } of readReference(join(folder, name))) {
    loss += lossSum;
    tokens += trainedTokens;
  }
  return loss / tokens;
}
