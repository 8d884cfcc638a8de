// Owns the command line of the recipe: defaults and what the flags mean together. Names and kinds of flags are those that
// `npm run train` hands on (training/train/recipe-flags.ts). It reads no file and starts nothing.
import { parseArgs } from "node:util";
import type { Bits } from "../../runtime/importer/quantize.ts";
import type { FloatType } from "../../runtime/importer/safetensors.ts";
import { recipeFlagProblem, recipeFlags } from "../train/recipe-flags.ts";
import { BadInput } from "./bad-input.ts";
import type { LoraShape } from "./parameters.ts";

/** What a model from scratch looks like, as far as flags say it; null leaves it to --config. */
interface ShapeFlags {
  readonly layers: number | null;
  readonly hidden: number | null;
  readonly heads: number | null;
  readonly kvHeads: number | null;
  readonly intermediate: number | null;
  readonly vocab: number | null;
  readonly ropeTheta: number | null;
  readonly isTied: boolean | null;
}

export interface RecipeOptions {
  readonly dataFolder: string;
  readonly runFolder: string;
  readonly isResuming: boolean;
  readonly tokenizerFolder: string;
  readonly baseFolder: string | null;
  readonly configFile: string | null;
  readonly shape: ShapeFlags;
  readonly context: number | null;
  /** Null trains all weights. */
  readonly lora: LoraShape | null;
  /** Of the frozen matrices beside adapters; null for float32. */
  readonly baseBits: Bits | null;
  readonly isTrainingAll: boolean;
  readonly isPacking: boolean;
  readonly epochs: number;
  readonly maxSteps: number | null;
  readonly batchTokens: number;
  readonly accumulate: number;
  readonly learningRate: number;
  readonly minLearningRateRatio: number;
  readonly warmup: number;
  readonly weightDecay: number;
  /** Infinity for no limit. */
  readonly clip: number;
  readonly seed: number;
  readonly isCheckpointing: boolean;
  readonly evaluateEvery: number;
  readonly patience: number;
  readonly checkpointEvery: number;
  readonly keep: number;
  readonly referenceExamples: number;
  readonly saveType: FloatType;
  readonly device: "auto" | "cpu" | "cuda";
  readonly threads: number | null;
  readonly isMemoryIgnored: boolean;
  /** Every flag as it counts, for settings.json. */
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
}

/** What a flag is worth that is not given; null where that depends on others. */
export const DEFAULTS: Readonly<Record<string, string | number | boolean | null>> = {
  base: null,
  config: null,
  tokenizer: null,
  layers: null,
  hidden: null,
  heads: null,
  "kv-heads": null,
  intermediate: null,
  vocab: null,
  "rope-theta": null,
  tied: null,
  context: null,
  method: "full",
  "lora-rank": 16,
  "lora-alpha": 32,
  "base-precision": "float32",
  "train-on": "labels",
  pack: false,
  epochs: 3,
  "max-steps": null,
  "batch-tokens": 16_384,
  accumulate: 1,
  lr: 2e-5,
  "min-lr-ratio": 0,
  warmup: 0.03,
  "weight-decay": 0,
  clip: 1,
  seed: 1,
  "gradient-checkpointing": false,
  "evaluate-every": 100,
  patience: 0,
  "checkpoint-every": 200,
  keep: 2,
  "reference-examples": 16,
  "save-dtype": "float32",
  device: "auto",
  threads: null,
  "ignore-memory": false,
};

const BASE_BITS = { float32: null, int8: 8, int4: 4 } as const;
const SAVE_TYPES: Readonly<Record<string, FloatType>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

/** Reads the arguments after the program's name. Throws BadInput with a sentence. */
export function parseRecipeOptions(args: readonly string[]): RecipeOptions {
  const flags = recipeFlags("onnx");
  const kinds = Object.fromEntries(
    flags.map(([name, { kind }]) => [name, { type: kind === "switch" ? ("boolean" as const) : ("string" as const) }]),
  );
  const own = { data: { type: "string" }, "run-folder": { type: "string" }, resume: { type: "boolean" } } as const;
  let given: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const { values } = parseArgs({ args: [...args], options: { ...kinds, ...own }, allowPositionals: false });
    given = values;
  } catch (error) {
    throw new BadInput(error instanceof Error ? (error.message.split(/\.\s/)[0] ?? "") : String(error));
  }
  const settings: Record<string, string | number | boolean | null> = {};
  for (const [name, { kind }] of flags) {
    const value = given[name];
    const problem = typeof value === "string" ? recipeFlagProblem(name, value) : null;
    if (problem !== null) throw new BadInput(`--${name} ${problem}`);
    const isNumber = kind === "integer" || kind === "number";
    settings[name] = value === undefined ? (DEFAULTS[name] ?? null) : isNumber ? Number(value) : value;
  }
  return optionsOf(settings, given);
}

function optionsOf(
  settings: Readonly<Record<string, string | number | boolean | null>>,
  given: Readonly<Record<string, string | boolean | undefined>>,
): RecipeOptions {
  const text = (name: string): string | null => {
    const value = settings[name] ?? given[name];
    return typeof value === "string" ? value : null;
  };
  const maybe = (name: string): number | null => {
    const value = settings[name];
    return typeof value === "number" ? value : null;
  };
  const number = (name: string): number => maybe(name) ?? Number.NaN;
  const atLeastOne = (name: string): number => {
    if (number(name) < 1) throw new BadInput(`--${name} must be at least 1`);
    return number(name);
  };
  const oneOf = <Choice extends string>(name: string, choices: readonly Choice[]): Choice => {
    const found = choices.find((choice) => choice === settings[name]);
    if (found === undefined) throw new BadInput(`--${name} must be ${choices.join(" or ")}, found "${text(name)}"`);
    return found;
  };
  const needed = (name: string): string => {
    const value = text(name);
    if (value === null || value === "") throw new BadInput(`--${name} is needed`);
    return value;
  };
  const baseFolder = text("base");
  const method = oneOf("method", ["full", "lora"]);
  const basePrecision = oneOf("base-precision", ["float32", "int8", "int4"]);
  if (method === "full" && basePrecision !== "float32") {
    throw new BadInput(`--base-precision ${basePrecision} needs --method lora: weights in few bits cannot be trained`);
  }
  const tokenizerFolder = text("tokenizer") ?? baseFolder;
  if (tokenizerFolder === null) throw new BadInput("a model from scratch needs --tokenizer");
  if (baseFolder === null && method === "lora") throw new BadInput("--method lora needs --base");
  if (baseFolder !== null && text("config") !== null) throw new BadInput("--base and --config exclude each other");
  return {
    dataFolder: needed("data"),
    runFolder: needed("run-folder"),
    isResuming: given["resume"] === true,
    tokenizerFolder,
    baseFolder,
    configFile: text("config"),
    shape: {
      layers: maybe("layers"),
      hidden: maybe("hidden"),
      heads: maybe("heads"),
      kvHeads: maybe("kv-heads"),
      intermediate: maybe("intermediate"),
      vocab: maybe("vocab"),
      ropeTheta: maybe("rope-theta"),
      isTied: settings["tied"] === null ? null : oneOf("tied", ["yes", "no"]) === "yes",
    },
    context: maybe("context"),
    lora: method === "lora" ? { rank: atLeastOne("lora-rank"), alpha: number("lora-alpha") } : null,
    baseBits: BASE_BITS[basePrecision],
    isTrainingAll: oneOf("train-on", ["labels", "all"]) === "all",
    isPacking: settings["pack"] === true,
    epochs: number("epochs"),
    maxSteps: maybe("max-steps"),
    batchTokens: atLeastOne("batch-tokens"),
    accumulate: atLeastOne("accumulate"),
    learningRate: number("lr"),
    minLearningRateRatio: number("min-lr-ratio"),
    warmup: number("warmup"),
    weightDecay: number("weight-decay"),
    clip: number("clip") === 0 ? Number.POSITIVE_INFINITY : number("clip"),
    seed: number("seed"),
    isCheckpointing: settings["gradient-checkpointing"] === true,
    evaluateEvery: atLeastOne("evaluate-every"),
    patience: number("patience"),
    checkpointEvery: atLeastOne("checkpoint-every"),
    keep: atLeastOne("keep"),
    referenceExamples: number("reference-examples"),
    saveType: SAVE_TYPES[oneOf("save-dtype", ["float32", "float16", "bfloat16"])] ?? "F32",
    device: oneOf("device", ["auto", "cpu", "cuda"]),
    threads: settings["threads"] === null ? null : atLeastOne("threads"),
    isMemoryIgnored: settings["ignore-memory"] === true,
    settings: { ...settings, data: needed("data"), "run-folder": needed("run-folder") },
  };
}
