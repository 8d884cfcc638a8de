// The flags of the command, of the recipe and of the importer are one command line, and every bad one is a sentence.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseTrainArguments, TRAIN_HELP } from "../../../training/train/cli-options.ts";
import { DEFAULTS } from "../../../training/onnx/options.ts";
import { RECIPE_FLAGS, recipeFlags } from "../../../training/train/recipe-flags.ts";

const now = new Date("2026-01-02T03:04:05Z");
const needed = ["--data=exports/user", "--base=seed", "--id=mine", "--role=user"];

function parse(...args: readonly string[]) {
  const command = parseTrainArguments(args, now);
  if (command.kind !== "train") throw new Error(command.kind === "refused" ? command.sentence : command.kind);
  return command.options;
}

function sentence(...args: readonly string[]): string {
  const command = parseTrainArguments(args, now);
  return command.kind === "refused" ? command.sentence : command.kind;
}

test("a plain command trains into runs/ID and imports as the importer would", () => {
  expect(parse(...needed)).toMatchObject({
    recipe: "onnx",
    dataFolder: "exports/user",
    runFolder: "runs/mine",
    baseFolder: "seed",
    tokenizerFolder: "seed",
    isResuming: false,
    python: null,
    processes: 1,
    recipeArguments: ["--base=seed"],
    importing: { id: "mine", role: "user", precision: "int8", outFolder: "models", createdAt: now },
  });
});

test("flags of the recipe are handed on as they are, those of the importer are not", () => {
  const options = parse(...needed, "--lr", "1e-3", "--gradient-checkpointing", "--precision", "int4", "--resume");
  expect(options.recipeArguments).toEqual(["--base=seed", "--lr=1e-3", "--gradient-checkpointing"]);
  expect(options.recipeSettings).toEqual({ base: "seed", lr: "1e-3", "gradient-checkpointing": true });
  expect(options).toMatchObject({ isResuming: true, importing: { precision: "int4" } });
});

test("a served model stands for the checkpoint that is written of it, and flags for conversations are kept for their export", () => {
  const args = ["--data=job:job_1", "--model=ft:realm::1", "--id=ft:realm::2", "--role=assistant", "--lr=1e-4"];
  expect(parse(...args, "--learn-end", "--holdout", "0.1", "--jobs=data", "--precision=int4")).toMatchObject({
    dataFolder: "job:job_1",
    runFolder: "runs/ft%3Arealm%3A%3A2",
    baseFolder: "runs/ft%3Arealm%3A%3A2/base",
    tokenizerFolder: "runs/ft%3Arealm%3A%3A2/base",
    recipeArguments: ["--base=runs/ft%3Arealm%3A%3A2/base", "--lr=1e-4"],
    inputs: {
      model: "ft:realm::1",
      exportFlags: ["--learn-end", "--holdout=0.1", "--data=data"],
      givenImportFlags: new Set(["id", "role", "precision"]),
    },
  });
});

describe("refused", () => {
  test.each([
    [["--base=seed", "--id=mine", "--role=user"], "--data is needed: the folder of a pre-tokenized export"],
    [[...needed, "--recipe=jax"], '--recipe must be onnx or pytorch, found "jax"'],
    [[...needed, "--lora-dropout=0.1"], "--lora-dropout is a flag of --recipe pytorch alone"],
    [[...needed, "--python=python3"], "--python is a flag of --recipe pytorch alone"],
    [[...needed, "--processes=2"], "--processes is a flag of --recipe pytorch alone"],
    [[...needed, "--recipe=pytorch", "--ignore-memory"], "--ignore-memory is a flag of --recipe onnx alone"],
    [[...needed, "--layers=two"], '--layers must be a whole number, found "two"'],
    [[...needed, "--lr=-1"], '--lr must be a number that is not negative, found "-1"'],
    [[...needed, "--lr="], '--lr must be a number that is not negative, found ""'],
    [[...needed, "--config=c.json"], "--base and --config exclude each other"],
    [[...needed, "--model=realm"], "--model and --base exclude each other"],
    [[...needed, "--recipe=pytorch", "--processes=0"], "--processes must be a positive integer"],
    [["--data=d", "--id=i", "--role=user", "--method=lora"], "--method lora needs --base"],
    [
      ["--data=d", "--id=i", "--role=user", "--layers=2"],
      "a model from scratch needs --tokenizer, a folder with token files",
    ],
    [[...needed, "--tempo=fast"], "Unknown option '--tempo'"],
  ])("%j", (args, expected) => {
    expect(sentence(...args)).toBe(expected);
  });

  test("what the importer refuses, in its own words", () => {
    expect(sentence("--data=d", "--base=b", "--role=user")).toContain("--id");
    expect(sentence(...needed, "--precision=int2")).toContain("--precision");
  });
});

test("the PyTorch recipe's own flags are the ones that the command hands on", () => {
  const source = readFileSync(join(import.meta.dirname, "../../../training/recipes/pytorch/options.py"), "utf8");
  const own = new Set(["--data", "--run-folder", "--resume"]);
  const flags = [...source.matchAll(/\badd\("(--[a-z-]+)"/g)].map(([, name = ""]) => name);
  expect(flags.filter((name) => !own.has(name)).toSorted()).toEqual(
    recipeFlags("pytorch")
      .map(([name]) => `--${name}`)
      .toSorted(),
  );
  const defaults = [...source.matchAll(/\badd\("--([a-z-]+)",.*default=([\d.e-]+)/g)];
  expect(defaults.length).toBeGreaterThan(10);
  for (const [, flag = "", value = ""] of defaults) {
    expect({ flag, told: toldDefault(flag) }).toEqual({ flag, told: Number(value) });
  }
});

test("so are those of the recipe on ONNX Runtime, and its defaults are those that the help tells", () => {
  const flags = recipeFlags("onnx").map(([name]) => name);
  expect(Object.keys(DEFAULTS).toSorted()).toEqual(flags.toSorted());
  for (const [flag, value] of Object.entries(DEFAULTS).filter((entry) => typeof entry[1] === "number")) {
    expect({ flag, told: toldDefault(flag) }).toEqual({ flag, told: value });
  }
  for (const [flag, value] of Object.entries(DEFAULTS).filter((entry) => typeof entry[1] === "string")) {
    expect(RECIPE_FLAGS[flag]?.help).toContain(`[${String(value)}]`);
  }
});

function toldDefault(flag: string): number {
  return Number(/\[([\d.e-]+)[^[]*\]$/.exec(RECIPE_FLAGS[flag]?.help ?? "")?.[1]);
}

test("help names every flag", () => {
  for (const name of Object.keys(RECIPE_FLAGS)) expect(TRAIN_HELP).toContain(`--${name}`);
  expect(parseTrainArguments(["--help"], now)).toEqual({ kind: "help" });
});
