// `npm run train`'s command line: its own flags, those of the recipe, those of the importer, and what they mean together.
// Every bad flag is one sentence. It reads no file and starts nothing.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseImportArguments } from "../../runtime/importer/cli-options.ts";
import type { ImportOptions } from "../../runtime/importer/import-checkpoint.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { INPUT_FLAGS, INPUT_HELP, readInputs, type RunInputs } from "./input-flags.ts";
import { RECIPE_FLAGS, recipeFlagHelp, recipeFlagProblem, type RecipeName, RECIPES } from "./recipe-flags.ts";

export const TRAIN_HELP = `Usage: npm run train -- --data EXPORT --base CHECKPOINT --role user|assistant --id NAME [options]
       npm run train -- --data FILE --model ID --role user|assistant --id NAME [options]

Trains a model on a pre-tokenized export, imports the result, checks that the imported model computes what was trained, and
puts it among the served models. Interrupted, it leaves a checkpoint: the same command with --resume goes on.

  --recipe onnx|pytorch         Who trains: training/onnx, without Python, or training/recipes/pytorch [onnx]
${INPUT_HELP}
  --run-folder FOLDER           Where checkpoints, log and result go [runs/ID]
  --resume                      Go on with the run in --run-folder
  --trained                     The recipe was run elsewhere and --run-folder brought back: only import, check and register
  --python PATH                 The Python to use [$REALCHAT_PYTHON, else python3] (--recipe pytorch)
  --processes N                 More than 1 starts torchrun: one process a device, weights shared out (FSDP) [1]
                                (--recipe pytorch)

The model that is put in place (as in npm run import):
  --id NAME --role user|assistant --precision P --head-precision P --block-size N --kv T --accuracy-level N --dither
  --end-of-conversation TOKEN --response-role ROLE --batch-invariant --licence NAME --source TEXT --base-model NAME
  --created-at TIME --out FOLDER --force

The training:
${recipeFlagHelp()}
  --help                        This text
`;

export interface TrainOptions {
  readonly recipe: RecipeName;
  readonly dataFolder: string;
  readonly runFolder: string;
  /** Where the template and the tokenizer come from. */
  readonly tokenizerFolder: string;
  /** What is still to be made of them; see prepare-run.ts. */
  readonly inputs: RunInputs;
  /** Null for a model from scratch. */
  readonly baseFolder: string | null;
  readonly isResuming: boolean;
  /** The recipe has finished in the run folder already. */
  readonly isTrained: boolean;
  /** Null for the environment's. */
  readonly python: string | null;
  readonly processes: number;
  /** Handed on to the recipe as they are. */
  readonly recipeArguments: readonly string[];
  /** By name, without the dashes. */
  readonly recipeSettings: Readonly<Record<string, string | boolean>>;
  /** Of the result, once there is one. */
  readonly importing: ImportOptions;
  /** For the manifest: the gateway's fine-tuning job that asked for it. Never on the command line. */
  readonly job?: string;
}

/** What the command line asks for; `refused` is a sentence for the user. */
export type TrainCommand =
  | { readonly kind: "help" }
  | { readonly kind: "refused"; readonly sentence: string }
  | { readonly kind: "train"; readonly options: TrainOptions };

const TEXT = { type: "string" } as const;
const SWITCH = { type: "boolean" } as const;

const OWN_FLAGS = {
  recipe: TEXT,
  data: TEXT,
  "run-folder": TEXT,
  resume: SWITCH,
  trained: SWITCH,
  python: TEXT,
  processes: TEXT,
  help: SWITCH,
  ...INPUT_FLAGS,
} as const;

const IMPORT_FLAGS = {
  id: TEXT,
  role: TEXT,
  precision: TEXT,
  "head-precision": TEXT,
  "block-size": TEXT,
  kv: TEXT,
  "accuracy-level": TEXT,
  dither: SWITCH,
  "end-of-conversation": TEXT,
  "response-role": TEXT,
  "batch-invariant": SWITCH,
  licence: TEXT,
  source: TEXT,
  "base-model": TEXT,
  "created-at": TEXT,
  out: TEXT,
  force: SWITCH,
} as const;

class Refusal extends Error {}

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Reads the arguments after the program's name. */
export function parseTrainArguments(args: readonly string[], now: Date): TrainCommand {
  try {
    const recipe = Object.entries(RECIPE_FLAGS).map(([name, { kind }]) => [name, kind === "switch" ? SWITCH : TEXT]);
    const flags = { ...OWN_FLAGS, ...IMPORT_FLAGS, ...Object.fromEntries(recipe) };
    const { values: found } = parseArgs({ args: [...args], options: flags, allowPositionals: false });
    const values = found as Values;
    return values["help"] === true ? { kind: "help" } : { kind: "train", options: optionsOf(values, now) };
  } catch (error) {
    const isOurs = error instanceof Refusal || (error instanceof TypeError && "code" in error);
    if (!isOurs) throw error;
    // Only the first sentence: parseArgs goes on with advice about its own syntax.
    return { kind: "refused", sentence: (error.message.split(/\.\s/)[0] ?? "").replace(/\.$/, "") };
  }
}

function optionsOf(values: Values, now: Date): TrainOptions {
  const text = (name: string): string | null => {
    const value = values[name];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const recipe = recipeOf(text("recipe") ?? RECIPES[0]);
  const dataFolder = text("data");
  if (dataFolder === null) throw new Refusal("--data is needed: the folder of a pre-tokenized export");
  const runFolder = text("run-folder") ?? join("runs", modelFolderName(text("id") ?? ""));
  const inputs = readInputs(values, Object.keys(IMPORT_FLAGS));
  if (inputs.model !== null && text("base") !== null) throw new Refusal("--model and --base exclude each other");
  const baseFolder = inputs.model === null ? text("base") : join(runFolder, "base");
  const handedOn: Values = baseFolder === null ? values : { ...values, base: baseFolder };
  const settings: Record<string, string | boolean> = {};
  const recipeArguments: string[] = [];
  for (const name of Object.keys(RECIPE_FLAGS)) {
    const value = handedOn[name];
    if (value === undefined) continue;
    assertRecipe(name, RECIPE_FLAGS[name]?.only, recipe);
    const problem = typeof value === "string" ? recipeFlagProblem(name, value) : null;
    if (problem !== null) throw new Refusal(`--${name} ${problem}`);
    settings[name] = value;
    // One argument, so that a value may begin with a dash.
    recipeArguments.push(value === true ? `--${name}` : `--${name}=${value}`);
  }
  if (values["trained"] === true && values["resume"] === true) {
    throw new Refusal("--trained and --resume exclude each other: a run that can be resumed has not ended");
  }
  if (baseFolder === null && text("method") === "lora") throw new Refusal("--method lora needs --base");
  if (baseFolder !== null && text("config") !== null) throw new Refusal("--base and --config exclude each other");
  const tokenizerFolder = text("tokenizer") ?? baseFolder;
  if (tokenizerFolder === null) throw new Refusal("a model from scratch needs --tokenizer, a folder with token files");
  for (const name of ["python", "processes"]) if (text(name) !== null) assertRecipe(name, "pytorch", recipe);
  const processes = Number(text("processes") ?? "1");
  if (!Number.isSafeInteger(processes) || processes < 1) throw new Refusal("--processes must be a positive integer");
  return {
    recipe,
    dataFolder,
    runFolder,
    tokenizerFolder,
    inputs,
    baseFolder,
    isResuming: values["resume"] === true,
    isTrained: values["trained"] === true,
    python: text("python"),
    processes,
    recipeArguments,
    recipeSettings: settings,
    importing: importOptions(values, now),
  };
}

function recipeOf(name: string): RecipeName {
  const recipe = RECIPES.find((known) => known === name);
  if (recipe === undefined) throw new Refusal(`--recipe must be ${RECIPES.join(" or ")}, found "${name}"`);
  return recipe;
}

/** A flag that only one recipe has would be ignored by another. */
function assertRecipe(flag: string, only: RecipeName | undefined, recipe: RecipeName): void {
  if (only !== undefined && only !== recipe) throw new Refusal(`--${flag} is a flag of --recipe ${only} alone`);
}

/** By the importer's own reading of its flags; the checkpoint's folder is known later. */
function importOptions(values: Values, now: Date): ImportOptions {
  const args = Object.keys(IMPORT_FLAGS).flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [];
    return [value === true ? `--${name}` : `--${name}=${value}`];
  });
  const command = parseImportArguments(["result", ...args], now);
  if (command.kind === "import") return command.options;
  throw new Refusal(command.kind === "refused" ? command.sentence : "--help stands alone");
}
