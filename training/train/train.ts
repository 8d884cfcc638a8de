// Owns the order of a training: what can be found wrong in a second first, then the recipe, then the model's way into place.
// It draws nothing; the recipe, its process and the import have files of their own.
import { createHash } from "node:crypto";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineError } from "../../runtime/errors.ts";
import { Checkpoint } from "../../runtime/importer/checkpoint.ts";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import type { ImportProgress } from "../../runtime/importer/import-checkpoint.ts";
import { readChatTemplateFiles } from "../../runtime/text/chat-template-files.ts";
import type { TrainOptions } from "./cli-options.ts";
import type { RecipeEvent } from "./events.ts";
import { type ExportFolder, readExportFolder } from "./export-folder.ts";
import { type FinishedRun, finishedRun } from "./finished-run.ts";
import { checkPython } from "./python.ts";
import { type RecipeCommand, type RecipeEnding, runRecipe } from "./recipe-run.ts";
import { assertFree, type Registered, register } from "./register.ts";

const pytorchScript = fileURLToPath(new URL("../recipes/pytorch/train.py", import.meta.url));
const onnxScript = fileURLToPath(new URL("../onnx/cli.ts", import.meta.url));

export interface TrainHooks {
  readonly onEvent: (event: RecipeEvent) => void;
  readonly onImport: (progress: ImportProgress) => void;
}

export type TrainOutcome =
  | { readonly kind: "registered"; readonly registered: Registered }
  | { readonly kind: "interrupted"; readonly step: number };

/** How a recipe is run: a real one, or a stand-in that speaks as they do. */
export interface Trainer {
  /** Throws when it cannot run at all. */
  readonly check: (signal: AbortSignal) => Promise<void>;
  readonly command: RecipeCommand;
}

/** The recipe that the options name; `python` is for the one that needs it. */
export function recipeTrainer(options: TrainOptions, python: string): Trainer {
  const { recipe, dataFolder, runFolder, isResuming, recipeArguments, processes, tokenizerFolder } = options;
  const own = [`--data=${dataFolder}`, `--run-folder=${runFolder}`, ...(isResuming ? ["--resume"] : [])];
  const tokenizer = recipeArguments.some((argument) => argument.startsWith("--tokenizer="))
    ? []
    : [`--tokenizer=${tokenizerFolder}`];
  const args = [...own, ...recipeArguments, ...tokenizer];
  if (recipe === "onnx") {
    return { check: () => Promise.resolve(), command: { program: process.execPath, args: [onnxScript, ...args] } };
  }
  const launch = ["-m", "torch.distributed.run", "--standalone", `--nproc-per-node=${processes}`];
  const packages = ["torch", "transformers", ...(options.recipeSettings["method"] === "lora" ? ["peft"] : [])];
  return {
    check: (signal) => checkPython(python, packages, signal),
    command: { program: python, args: [...(processes > 1 ? launch : []), pytorchScript, ...args] },
  };
}

/**
 * Trains, imports, checks and registers. Aborting while the recipe runs makes it write a checkpoint; later nothing is left.
 * Throws EngineError, PythonError or an Error, each with a sentence.
 */
export async function train(
  options: TrainOptions,
  trainer: Trainer,
  hooks: TrainHooks,
  signal: AbortSignal,
): Promise<TrainOutcome> {
  const { importing, tokenizerFolder, runFolder } = options;
  await assertFree(importing);
  const data = await readExportFolder(options.dataFolder, signal);
  if (data.role !== null && data.role !== importing.role && options.recipeSettings["train-on"] !== "all") {
    throw refused(`${options.dataFolder} trains the ${data.role}'s turns, and --role is ${importing.role}`);
  }
  await assertTemplate(tokenizerFolder, data.templateHash);
  const finished = options.isTrained ? await finishedRun(runFolder) : null;
  if (finished !== null) assertData(options.dataFolder, data, finished);
  const ending = finished?.ending ?? (await runTrainer(trainer, hooks, signal));
  if (ending.kind === "interrupted") return ending;
  const registered = await register(
    {
      importing: {
        ...importing,
        source: ending.result,
        baseModel: importing.baseModel ?? (options.baseFolder === null ? null : basename(resolve(options.baseFolder))),
        provenance: importing.provenance === "" ? `Trained on ${options.dataFolder}` : importing.provenance,
      },
      runFolder,
      templateHash: data.templateHash,
      training: await describe(options, finished?.settings ?? settingsOf(options), data, ending, signal),
    },
    hooks.onImport,
    signal,
  );
  return { kind: "registered", registered };
}

async function runTrainer(trainer: Trainer, hooks: TrainHooks, signal: AbortSignal): Promise<RecipeEnding> {
  await trainer.check(signal);
  return runRecipe(trainer.command, hooks.onEvent, signal);
}

/** Before hours of training, what would only be found after them. */
async function assertTemplate(folder: string, wanted: string): Promise<void> {
  const { source } = await readChatTemplateFiles(folder);
  const found = createHash("sha256").update(source).digest("hex");
  if (found === wanted) return;
  throw refused(
    `the chat template in ${folder} (SHA-256 ${found}) is not the one that the examples were written with (${wanted}): ` +
      "name the folder of the model that the export was made for with --tokenizer",
  );
}

/** What the run says it was trained on must be what is named here: the manifest will say so. */
function assertData(folder: string, data: ExportFolder, { dataSha256 }: FinishedRun): void {
  if (dataSha256 === undefined || dataSha256 === data.sha256["train.jsonl"]) return;
  throw refused(`the run was trained on a train.jsonl with SHA-256 ${dataSha256}, which is not that of ${folder}`);
}

function settingsOf({ recipe, recipeSettings, processes }: TrainOptions): Record<string, unknown> {
  const { base: _base, config: _config, tokenizer: _tokenizer, ...settings } = recipeSettings;
  return { recipe, ...settings, ...(recipe === "pytorch" ? { processes } : {}) };
}

async function describe(
  options: TrainOptions,
  settings: Readonly<Record<string, unknown>>,
  data: ExportFolder,
  ending: RecipeEnding & { readonly kind: "done" },
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const { baseFolder } = options;
  const { best, best_step: bestStep, steps } = ending.event;
  // Runs of the recipe in PyTorch do not say by whom they were made.
  const { recipe = "pytorch", ...others } = settings;
  return {
    recipe,
    ...(options.job === undefined ? {} : { job: options.job }),
    settings: others,
    steps,
    ...(best === undefined ? {} : { heldoutLoss: best, bestStep }),
    role: data.role,
    templateHash: data.templateHash,
    dataSha256: data.sha256,
    parent: baseFolder === null ? null : { sha256: await weightHashes(baseFolder, signal) },
  };
}

async function weightHashes(folder: string, signal: AbortSignal): Promise<Record<string, string>> {
  const checkpoint = await Checkpoint.open(folder);
  try {
    const hashes: Record<string, string> = {};
    for (const name of checkpoint.fileNames) {
      hashes[name] = (await fileHash(join(folder, name), () => {}, signal)).sha256;
    }
    return hashes;
  } finally {
    await checkpoint.close();
  }
}

function refused(sentence: string): EngineError {
  return new EngineError("invalid_request", sentence);
}
