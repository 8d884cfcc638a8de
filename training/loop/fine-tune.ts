// Owns the training of one role in a round: export of the kept dialogues, the recipe, the import, the check, all by the functions of
// `npm run export` and `npm run train`. The result waits in the round's folder; nobody serves it yet.
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { isObject } from "../../runtime/importer/json.ts";
import { readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { parseExportArguments } from "../exports/cli-options.ts";
import { runExport } from "../exports/run-export.ts";
import { parseTrainArguments, type TrainOptions } from "../train/cli-options.ts";
import { readExportFolder } from "../train/export-folder.ts";
import { prepareRun } from "../train/prepare-run.ts";
import { recipeTrainer, train, type TrainHooks } from "../train/train.ts";
import { leashArguments } from "./child.ts";
import type { StepResult } from "./record.ts";
import { acceptedId, type LoopModel, type Run } from "./run.ts";

/** The run is to stop, and can go on. */
class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/** Writes the kept dialogues as the examples of one role; `from` and `to` are names within the run folder. */
export async function exportRole(
  run: Run,
  role: ModelRole,
  parent: LoopModel,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<StepResult> {
  const { options } = run;
  const out = join(run.folder, to);
  const flags = [
    "--to=tokenized",
    `--role=${role}`,
    `--model=${parent.folder}`,
    `--holdout=${options.holdout}`,
    `--seed=${options.seed}`,
    `--out=${out}`,
    // A half-recorded one of a run that was killed.
    "--force",
    ...(options.learnsEnd && role === "user" ? ["--learn-end"] : []),
  ];
  const command = parseExportArguments([...flags, "--", join(run.folder, from)], ({ file, row }, reason) => {
    throw new Error(`${file}, row ${row}: ${reason}`);
  });
  if (command === null) throw new Error("an export is a command");
  const { record } = await runExport(command, () => {}, signal);
  const { sha256 } = await readExportFolder(out, signal);
  const outputs = Object.fromEntries(Object.entries(sha256).map(([name, hash]) => [`${to}/${name}`, hash]));
  return { outputs, facts: { counts: record.counts, leftOut: record.leftOut } };
}

/** Where a role is trained in a round; names within the run folder. */
export interface TrainPlaces {
  readonly data: string;
  readonly runFolder: string;
  /** Where the result goes. */
  readonly candidates: string;
}

/**
 * Trains and imports; a training that was begun before goes on from its checkpoint. Where the imported model does not compute what
 * was trained, there is no model, and the facts say why. Throws InterruptedError when the signal came first.
 */
export async function trainRole(
  run: Run,
  round: number,
  role: ModelRole,
  parent: LoopModel,
  { data, runFolder, candidates }: TrainPlaces,
  hooks: TrainHooks & { readonly onNote: (sentence: string) => void },
  signal: AbortSignal,
): Promise<StepResult> {
  const id = acceptedId(run, role, round);
  const folder = join(run.folder, candidates, modelFolderName(id));
  // It is there whole or not at all.
  if ((await stat(folder).catch(() => null)) === null) {
    const options = trainOptions(run, id, role, parent, [
      `--data=${join(run.folder, data)}`,
      `--run-folder=${join(run.folder, runFolder)}`,
      `--out=${join(run.folder, candidates)}`,
    ]);
    await mkdir(options.runFolder, { recursive: true });
    const failure = await trainCandidate(run, options, hooks, signal);
    if (failure !== null) return { outputs: {}, facts: { failure } };
  }
  const { hash, files, provenance } = await readManifest(folder);
  const facts = isObject(provenance["training"]) ? provenance["training"] : {};
  const weights = Object.fromEntries([...files].map(([name, { sha256 }]) => [name, sha256]));
  return { outputs: { [`model ${id}`]: hash }, facts: { ...facts, weights } };
}

/** Why there is no model; null when there is one. */
async function trainCandidate(
  run: Run,
  options: TrainOptions,
  hooks: TrainHooks & { readonly onNote: (sentence: string) => void },
  signal: AbortSignal,
): Promise<string | null> {
  const ready = await prepareRun(options, { onNote: hooks.onNote, onWeights: hooks.onImport }, signal);
  const { check, command } = recipeTrainer(ready, "");
  const leashed = { check, command: { ...command, args: [...leashArguments(run.folder), ...command.args] } };
  try {
    const outcome = await train(ready, leashed, hooks, signal);
    if (outcome.kind === "registered") return null;
  } catch (error) {
    if (signal.aborted) throw new InterruptedError("interrupted", { cause: error });
    if (error instanceof EngineError && error.code === "bad_model") return error.message;
    throw error;
  }
  throw new InterruptedError("interrupted");
}

function trainOptions(
  { options }: Run,
  id: string,
  role: ModelRole,
  parent: LoopModel,
  places: readonly string[],
): TrainOptions {
  const own = [`--id=${id}`, `--role=${role}`, `--model=${parent.folder}`, `--seed=${options.seed}`, "--resume"];
  const where = [`--device=${options.device}`, ...(options.threads === null ? [] : [`--threads=${options.threads}`])];
  const command = parseTrainArguments([...places, ...own, ...where, ...options.trainArguments], new Date());
  if (command.kind === "train") return command.options;
  throw new Error(command.kind === "refused" ? command.sentence : "a training is a command");
}

/** What stays of a training that is done: what it said and what it began with. The rest is large, and is made again from those. */
const KEPT = new Set(["log.jsonl", "settings.json", "inputs.json", "reference.json"]);

/** Removes what a training that stands in the record needs no more. */
export async function tidyTraining(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (!KEPT.has(basename(name))) await rm(join(folder, name), { recursive: true, force: true });
  }
}
