// Turns a Hugging Face checkpoint folder into a served model's folder: graph, weights, token files, manifest.
// Everything is written into a folder beside the target and renamed at the end: the target is whole or absent.
// It knows the order of the work; each step has its own file. It prints nothing.
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EngineError } from "../errors.ts";
import type { ModelRole } from "../chat-model.ts";
import { Checkpoint } from "./checkpoint.ts";
import { parseConfig } from "./config.ts";
import type { DecoderConfig } from "./config.ts";
import { buildDecoderGraph } from "./decoder-graph.ts";
import { decoderTensors, paddedHeadDim } from "./decoder-tensors.ts";
import { fileHash } from "./file-hash.ts";
import { badModel, type JsonObject, readJsonObject } from "./json.ts";
import { isModelId, modelFolderName, modelIdRule } from "../model-id.ts";
import { resolveFormat } from "./precision.ts";
import type { FormatOptions, Precision } from "./precision.ts";
import { readSpecialTokens } from "./tokens.ts";
import type { SpecialTokens } from "./tokens.ts";
import { WeightPlan } from "./weight-plan.ts";

const MODEL_FILE = "model.onnx";
const DATA_FILE = "model.onnx.data";
const MANIFEST_FILE = "manifest.json";
const IMPORTER_VERSION = "1";
/** Copied as they are; the second list only when present. */
const NEEDED_FILES = ["tokenizer.json", "tokenizer_config.json"];
const OPTIONAL_FILES = ["chat_template.jinja", "generation_config.json"];

export interface ImportOptions extends FormatOptions {
  /** The checkpoint folder. */
  readonly source: string;
  readonly id: string;
  readonly role: ModelRole;
  readonly precision: Precision;
  /** The folder that holds model folders. */
  readonly outFolder: string;
  /** Null takes all that the model was trained for. */
  readonly contextWindow: number | null;
  /** A token that ends conversations; null looks for the usual one. */
  readonly endOfConversation: string | null;
  readonly responseRole: ModelRole | null;
  /** The manifest asks the engine for answers that do not depend on their neighbours. */
  readonly isBatchInvariant: boolean;
  readonly licence: string;
  /** Where the weights come from, in words: attribution included. */
  readonly provenance: string;
  readonly baseModel: string | null;
  readonly createdAt: Date;
  /** Replaces an existing model folder. */
  readonly isReplacing: boolean;
}

/** What is being done, and how far it is. */
export interface ImportProgress {
  readonly phase: "weights" | "checksums";
  readonly done: number;
  readonly total: number;
}

/**
 * Writes `<outFolder>/<id>/` and resolves to its path. On any error, and when the signal is aborted, nothing is left.
 * Throws `bad_model` for a broken checkpoint, `invalid_request` for options that cannot be met.
 */
export async function importCheckpoint(
  options: ImportOptions,
  onProgress: (progress: ImportProgress) => void,
  signal: AbortSignal,
): Promise<string> {
  const target = resolve(options.outFolder, modelFolderName(options.id));
  if (!isModelId(options.id)) throw refused("id", `id "${options.id}" ${modelIdRule}`);
  if (!options.isReplacing && (await exists(target))) {
    throw refused("id", `${target} exists already; --force replaces it`);
  }
  const configJson = await readJsonObject(join(options.source, "config.json"));
  const config = parseConfig(configJson);
  const contextWindow = resolveContext(config, options.contextWindow);
  const tokens = await readSpecialTokens(options.source, configJson, config.vocabSize, options.endOfConversation);
  const checkpoint = await Checkpoint.open(options.source);
  try {
    await mkdir(dirname(target), { recursive: true });
    const work = await mkdtemp(join(dirname(target), `.${basename(target)}.importing-`));
    try {
      const sourceHashes = await hashSources(options.source, checkpoint, onProgress, signal);
      await writeModel(work, checkpoint, config, contextWindow, options, onProgress, signal);
      await copyTokenFiles(options.source, work);
      const manifest = await describe(work, config, configJson, contextWindow, tokens, sourceHashes, options, signal);
      await writeFile(join(work, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
      signal.throwIfAborted();
      // mkdtemp lets nobody else in, but a server may run as another user.
      await chmod(work, 0o755);
      await moveIntoPlace(work, target);
    } catch (error) {
      await rm(work, { recursive: true, force: true });
      throw error;
    }
  } finally {
    await checkpoint.close();
  }
  return target;
}

function resolveContext(config: DecoderConfig, wanted: number | null): number {
  const contextWindow = wanted ?? config.maxPositions;
  if (contextWindow > config.maxPositions) {
    throw refused(
      "context",
      `--context ${contextWindow} is beyond the ${config.maxPositions} positions of config.json`,
    );
  }
  if (config.slidingWindow !== null && contextWindow > config.slidingWindow) {
    const { slidingWindow } = config;
    const advice = `attention past it is not supported: import with --context ${slidingWindow} or less`;
    throw badModel("config.json", `field sliding_window is ${slidingWindow}; ${advice}`);
  }
  return contextWindow;
}

async function hashSources(
  folder: string,
  checkpoint: Checkpoint,
  onProgress: (progress: ImportProgress) => void,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const names = ["config.json", ...checkpoint.fileNames];
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  const hashes: Record<string, string> = {};
  for (const name of names) {
    const onBytes = (bytes: number) => onProgress({ phase: "checksums", done: (done += bytes), total });
    hashes[name] = (await fileHash(join(folder, name), onBytes, signal)).sha256;
  }
  return hashes;
}

async function writeModel(
  work: string,
  checkpoint: Checkpoint,
  config: DecoderConfig,
  contextWindow: number,
  options: ImportOptions,
  onProgress: (progress: ImportProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const plan = new WeightPlan(DATA_FILE);
  const tensors = decoderTensors(checkpoint, config);
  const graph = buildDecoderGraph(config, tensors, plan, { ...resolveFormat(options), contextWindow });
  await writeFile(join(work, MODEL_FILE), graph);
  const total = plan.totalValues;
  let done = 0;
  const data = await open(join(work, DATA_FILE), "w");
  try {
    await plan.write(data, (values) => onProgress({ phase: "weights", done: (done += values), total }), signal);
    await data.sync();
  } finally {
    await data.close();
  }
}

/** Copies a folder's tokenizer, template and recommended sampling, to the byte. Throws `bad_model` for one that must be there. */
export async function copyTokenFiles(source: string, work: string): Promise<void> {
  for (const name of NEEDED_FILES) {
    if (!(await exists(join(source, name)))) throw badModel(name, `missing from ${source}`);
    await copyContent(join(source, name), join(work, name));
  }
  for (const name of OPTIONAL_FILES) {
    if (await exists(join(source, name))) await copyContent(join(source, name), join(work, name));
  }
}

/** Without the source's permissions: checkpoint folders are often read-only. */
async function copyContent(from: string, to: string): Promise<void> {
  await writeFile(to, await readFile(from));
}

async function describe(
  work: string,
  config: DecoderConfig,
  configJson: JsonObject,
  contextWindow: number,
  tokens: SpecialTokens,
  sourceSha256: Readonly<Record<string, string>>,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<unknown> {
  const files: Record<string, unknown> = {};
  for (const name of (await readdir(work)).toSorted()) files[name] = await fileHash(join(work, name), () => {}, signal);
  const { layers, heads, kvHeads, hiddenSize, vocabSize } = config;
  return {
    schema: 1,
    id: options.id,
    role: options.role,
    format: "realchat-decoder-1",
    architecture: config.architecture,
    precision: options.precision,
    kvPrecision: resolveFormat(options).kvType,
    contextWindow,
    createdAt: options.createdAt.toISOString(),
    ...(options.responseRole === null ? {} : { responseRole: options.responseRole }),
    ...(options.isBatchInvariant ? { batchInvariant: true } : {}),
    network: { layers, heads, kvHeads, headDim: paddedHeadDim(config.headDim), hiddenSize, vocabSize },
    tokens,
    licence: options.licence,
    provenance: {
      source: options.provenance === "" ? basename(resolve(options.source)) : options.provenance,
      sourceSha256,
      importerVersion: IMPORTER_VERSION,
      ...(options.isDithered === true ? { isDithered: true } : {}),
      // The graph does not say all of it: with this, the checkpoint can be written again.
      config: configJson,
      ...(options.baseModel === null ? {} : { baseModel: options.baseModel }),
    },
    files,
  };
}

/** An old folder steps aside first: a folder that is not empty cannot be renamed onto. */
export async function moveIntoPlace(work: string, target: string): Promise<void> {
  const old = `${work}.old`;
  const hasOld = await exists(target);
  if (hasOld) await rename(target, old);
  try {
    await rename(work, target);
  } catch (error) {
    if (hasOld) await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function refused(param: string, sentence: string): EngineError {
  return new EngineError("invalid_request", sentence, { param });
}
