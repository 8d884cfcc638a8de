// Owns the flags that `npm run train` hands on to a recipe: their names, what they hold, their help, and which recipe has them.
// Recipes read them once more by themselves (training/onnx/options.ts, training/recipes/pytorch/options.py); tests hold all
// lists together.

/** The first is taken where none is named. */
export const RECIPES = ["onnx", "pytorch"] as const;

export type RecipeName = (typeof RECIPES)[number];

interface RecipeFlag {
  readonly kind: "text" | "integer" | "number" | "switch";
  readonly help: string;
  /** The one recipe that has it; without it all have. */
  readonly only?: RecipeName;
}

export const RECIPE_FLAGS: Readonly<Record<string, RecipeFlag>> = {
  base: { kind: "text", help: "Hugging Face checkpoint to start from; without it a model from scratch" },
  config: { kind: "text", help: "JSON file with fields of a LlamaConfig, for a model from scratch" },
  tokenizer: { kind: "text", help: "Folder with token files and the chat template of the role [as --base]" },
  layers: { kind: "integer", help: "Shape of a model from scratch; wins over --config, as do the six below" },
  hidden: { kind: "integer", help: "Width" },
  heads: { kind: "integer", help: "Attention heads" },
  "kv-heads": { kind: "integer", help: "Heads of keys and values [as --heads]" },
  intermediate: { kind: "integer", help: "Width inside the feed-forward part [8/3 of --hidden]" },
  vocab: { kind: "integer", help: "Size of the vocabulary" },
  "rope-theta": { kind: "number", help: "Base of the rotary positions [10000]" },
  tied: { kind: "text", help: "yes or no: whether the output head is the embedding [no]" },
  context: { kind: "integer", help: "Longest sequence in tokens [as the base has it, else 2048]" },
  method: { kind: "text", help: "full or lora [full]" },
  "lora-rank": { kind: "integer", help: "Rank of the adapters [16]" },
  "lora-alpha": { kind: "number", help: "Scale of the adapters, times the rank [32]" },
  "base-precision": {
    kind: "text",
    help: "float32, int8 or int4 for the frozen matrices beside adapters [float32]",
    only: "onnx",
  },
  "lora-dropout": {
    kind: "number",
    help: "Share of what goes into the adapters that is dropped [0]",
    only: "pytorch",
  },
  "train-on": { kind: "text", help: "labels, or all: every token is in the loss, for a base model [labels]" },
  pack: { kind: "switch", help: "Join examples into sequences of the whole context, for a base model" },
  epochs: { kind: "number", help: "Passes over the data [3]" },
  "max-steps": { kind: "integer", help: "End after so many optimizer steps" },
  "batch-tokens": { kind: "integer", help: "Most tokens of one batch of one device, padding included [16384]" },
  accumulate: { kind: "integer", help: "Batches of one optimizer step, for each device [1]" },
  lr: { kind: "number", help: "Highest learning rate [2e-5]" },
  "min-lr-ratio": { kind: "number", help: "Where the cosine ends, as a share of --lr [0]" },
  warmup: { kind: "number", help: "Share of the steps in which the learning rate rises [0.03]" },
  "weight-decay": { kind: "number", help: "Of matrices [0]" },
  clip: { kind: "number", help: "Largest norm of the gradient, 0 for no limit [1]" },
  seed: { kind: "integer", help: "Decides the order of examples and new weights [1]" },
  "gradient-checkpointing": { kind: "switch", help: "Less memory, a third more work" },
  "evaluate-every": { kind: "integer", help: "Optimizer steps between two measures of the held-out loss [100]" },
  patience: { kind: "integer", help: "End after so many measures without a better one, 0 for never [0]" },
  "checkpoint-every": { kind: "integer", help: "Optimizer steps between two checkpoints [200]" },
  keep: { kind: "integer", help: "Newest checkpoints to keep [2]" },
  "reference-examples": { kind: "integer", help: "Held-out examples that the import is checked with [16]" },
  "save-dtype": { kind: "text", help: "float32, float16 or bfloat16 for the checkpoint [float32]" },
  device: { kind: "text", help: "auto, cpu or cuda [auto]" },
  threads: { kind: "integer", help: "CPU threads [all]" },
  "ignore-memory": { kind: "switch", help: "Start even where memory is estimated not to suffice", only: "onnx" },
};

/** The flags that a recipe has. */
export function recipeFlags(recipe: RecipeName): [string, RecipeFlag][] {
  return Object.entries(RECIPE_FLAGS).filter(([, { only }]) => only === undefined || only === recipe);
}

/** The help of all of them, one a line. */
export function recipeFlagHelp(): string {
  const names = Object.entries(RECIPE_FLAGS);
  return names
    .map(([name, { kind, help, only }]) => {
      const where = only === undefined ? "" : ` (--recipe ${only})`;
      return `  ${`--${name}${argumentOf[kind]}`.padEnd(30)}${help}${where}`;
    })
    .join("\n");
}

/** Why a value cannot be the flag's, as the end of a sentence; null when it can. */
export function recipeFlagProblem(name: string, value: string): string | null {
  const kind = RECIPE_FLAGS[name]?.kind;
  if (kind === "integer" && !/^\d+$/.test(value)) return `must be a whole number, found "${value}"`;
  if (kind === "number" && !(value.trim() !== "" && Number(value) >= 0 && Number.isFinite(Number(value)))) {
    return `must be a number that is not negative, found "${value}"`;
  }
  return value === "" ? "must not be empty" : null;
}

const argumentOf = { text: " TEXT", integer: " N", number: " X", switch: "" } as const;
