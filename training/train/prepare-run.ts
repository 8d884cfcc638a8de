// Owns what a training needs before it begins and that is made in its run folder: the checkpoint of a served model (RUN/base) and
// the export of conversations (RUN/data). What was made is noted in RUN/inputs.json: a resumed run takes it up, and only if it
// is still what was asked for. It trains nothing.
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { importLike } from "../../runtime/checkpoint/import-like.ts";
import { writeCheckpoint } from "../../runtime/checkpoint/write-checkpoint.ts";
import { EngineError } from "../../runtime/errors.ts";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import { isObject } from "../../runtime/importer/json.ts";
import { type Manifest, manifestName, readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { parseExportArguments } from "../exports/cli-options.ts";
import { runExport, summaryOf } from "../exports/run-export.ts";
import { modelFolderOf } from "../prepare/flags.ts";
import { filesOf } from "../sources/open-file.ts";
import { jobIdOf } from "../sources/open-job.ts";
import type { TrainOptions } from "./cli-options.ts";
import { assertFree } from "./register.ts";

const NOTES = "inputs.json";

export interface PrepareHooks {
  /** A sentence on what was made, or left out of it. */
  readonly onNote: (sentence: string) => void;
  /** How far the base's weights are. */
  readonly onWeights: (progress: { readonly phase: "weights"; readonly done: number; readonly total: number }) => void;
}

/** What RUN/base and RUN/data were made from. */
interface Notes {
  readonly model?: unknown;
  readonly data?: unknown;
}

/**
 * Makes what is missing and resolves to the options of a training that has everything. Throws EngineError("invalid_request") for
 * inputs that cannot be or that are other ones than the run began with, and whatever writing the checkpoint or the export throws;
 * what was whole by then is taken up by --resume.
 */
export async function prepareRun(
  options: TrainOptions,
  hooks: PrepareHooks,
  signal: AbortSignal,
): Promise<TrainOptions> {
  const { inputs, dataFolder, runFolder, importing } = options;
  const isExport = jobIdOf(dataFolder) === null && (await isThere(join(dataFolder, "meta.json")));
  const given = inputs.exportFlags.map((flag) => flag.split("=")[0]).join(", ");
  if (isExport && given !== "") throw refused(`${dataFolder} is an export already: ${given} is for conversations`);
  if (inputs.model === null) {
    if (isExport) return options;
    if (given === "" && jobIdOf(dataFolder) === null && !(await isThere(dataFolder))) return options;
    throw refused(`${dataFolder} is no export: with --model, the served model to train, it is exported first`);
  }
  await assertFree(importing);
  const modelFolder = await findModel(inputs.model, importing.outFolder);
  const manifest = await readManifest(modelFolder);
  if (manifest.role !== importing.role) {
    throw refused(`the model ${manifest.id} writes the ${manifest.role}'s turns, and --role is ${importing.role}`);
  }
  // Read before anything is made: what cannot be read is told at once.
  const wanted = {
    model: { id: manifest.id, hash: manifest.hash },
    data: isExport
      ? undefined
      : { source: await identify(dataFolder, signal), flags: inputs.exportFlags, role: importing.role },
  };
  const notes = await readNotes(runFolder, options.isResuming || options.isTrained);
  assertSame(runFolder, "model", notes.model, wanted.model);
  assertSame(runFolder, "data", notes.data, wanted.data);
  await mkdir(runFolder, { recursive: true });
  if (notes.model === undefined) {
    const outFolder = join(runFolder, "base");
    await writeCheckpoint({ modelFolder, outFolder, isReplacing: true }, hooks.onWeights, signal);
    await writeNotes(runFolder, { model: wanted.model });
    hooks.onNote(`wrote ${manifest.id} as the checkpoint ${outFolder}`);
  }
  const data = isExport ? dataFolder : join(runFolder, "data");
  if (!isExport && notes.data === undefined) {
    await exportData(data, modelFolder, options, hooks, signal);
    await writeNotes(runFolder, wanted);
  }
  return { ...options, dataFolder: data, importing: await likeParent(options, modelFolder, manifest) };
}

async function exportData(
  out: string,
  modelFolder: string,
  { inputs, dataFolder, importing }: TrainOptions,
  { onNote }: PrepareHooks,
  signal: AbortSignal,
): Promise<void> {
  // A half-made one of a run that was killed.
  await rm(out, { recursive: true, force: true });
  const own = ["--to=tokenized", `--role=${importing.role}`, `--model=${modelFolder}`, `--out=${out}`];
  let broken = 0;
  const command = parseExportArguments([...own, ...inputs.exportFlags, "--", dataFolder], () => (broken += 1));
  if (command === null) throw new Error("an export is a command");
  const { record } = await runExport(command, () => {}, signal);
  for (const sentence of summaryOf(record)) onNote(sentence);
  if (broken > 0) onNote(`${broken} rows that cannot be read`);
  if (record.counts.train === 0) {
    await rm(out, { recursive: true, force: true });
    throw refused(`no conversation of ${dataFolder} is left to train on`);
  }
}

/** What the command line does not say of the result is as the model has it. */
async function likeParent({ inputs, importing }: TrainOptions, folder: string, manifest: Manifest) {
  const like = await importLike(folder, manifest);
  const has = (flag: string) => inputs.givenImportFlags.has(flag);
  // Of another precision, the parent's blocks and head say nothing.
  const isOther = has("precision") && importing.precision !== like.precision;
  return {
    ...importing,
    precision: has("precision") ? importing.precision : like.precision,
    headPrecision: has("head-precision") || isOther ? importing.headPrecision : like.headPrecision,
    blockSize: has("block-size") || isOther ? importing.blockSize : like.blockSize,
    accuracyLevel: has("accuracy-level") || isOther ? importing.accuracyLevel : like.accuracyLevel,
    kvPrecision: has("kv") || isOther ? importing.kvPrecision : like.kvPrecision,
    // On another grid, rounding to the nearest takes nothing back.
    isDithered: importing.isDithered === true || (like.isDithered === true && !isOther && !has("block-size")),
    contextWindow: like.contextWindow,
    endOfConversation: importing.endOfConversation ?? like.endOfConversation,
    responseRole: importing.responseRole ?? like.responseRole,
    isBatchInvariant: importing.isBatchInvariant || like.isBatchInvariant,
    licence: has("licence") ? importing.licence : like.licence,
    baseModel: importing.baseModel ?? manifest.id,
  };
}

/** In the folder that the result goes to, else as npm run export finds it. */
async function findModel(model: string, modelsFolder: string): Promise<string> {
  const served = join(modelsFolder, modelFolderName(model));
  return (await isThere(join(served, manifestName))) ? served : modelFolderOf(model);
}

/** The job's id, or the hash of every file. */
async function identify(source: string, signal: AbortSignal): Promise<unknown> {
  if (jobIdOf(source) !== null) return source;
  const hashes: string[] = [];
  for (const file of await filesOf(source)) hashes.push((await fileHash(file, () => {}, signal)).sha256);
  return { sha256: hashes };
}

async function readNotes(runFolder: string, isResuming: boolean): Promise<Notes> {
  const text = await readFile(join(runFolder, NOTES), "utf8").catch(() => null);
  if (text === null) return {};
  if (!isResuming) {
    throw refused(`${runFolder} holds an earlier run: --resume goes on with it, another --run-folder begins anew`);
  }
  const notes: unknown = JSON.parse(text);
  return isObject(notes) ? notes : {};
}

async function writeNotes(runFolder: string, notes: Notes): Promise<void> {
  await writeFile(join(runFolder, NOTES), `${JSON.stringify(notes, null, 2)}\n`);
}

function assertSame(runFolder: string, name: "model" | "data", noted: unknown, wanted: unknown): void {
  if (noted === undefined || JSON.stringify(noted) === JSON.stringify(wanted)) return;
  const what = name === "model" ? "another --model, or other weights of it" : "another --data, or other flags for it";
  throw refused(`the run in ${runFolder} began with ${what}: begin anew with another --run-folder`);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function refused(sentence: string): EngineError {
  return new EngineError("invalid_request", sentence);
}
