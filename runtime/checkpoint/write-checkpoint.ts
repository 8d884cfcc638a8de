// Turns a served model's folder back into a Hugging Face checkpoint folder: config.json, float32 weights, token files.
// The other way round of runtime/importer/import-checkpoint.ts: what that rounded stays rounded, all else comes back as it was.
// Everything is written beside the target and renamed at the end. It knows the order of the work and prints nothing.
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EngineError } from "../errors.ts";
import { parseConfig } from "../importer/config.ts";
import { copyTokenFiles, moveIntoPlace } from "../importer/import-checkpoint.ts";
import { badModel, isObject, type JsonObject } from "../importer/json.ts";
import { inFolder, type Manifest, manifestName, readManifest, verifyFiles } from "../manifest.ts";
import { checkpointTensors } from "./checkpoint-tensors.ts";
import { writeSafetensors } from "./safetensors-writer.ts";
import { StoredWeights } from "./stored-weights.ts";

const CONFIG_FILE = "config.json";
const WEIGHTS_FILE = "model.safetensors";

export interface CheckpointOptions {
  /** The folder of a served model. */
  readonly modelFolder: string;
  /** Becomes the checkpoint's folder. */
  readonly outFolder: string;
  /** Replaces an existing folder. */
  readonly isReplacing: boolean;
}

/** How far the weights are, in values. */
export interface CheckpointProgress {
  readonly phase: "weights";
  readonly done: number;
  readonly total: number;
}

/**
 * Writes the checkpoint and resolves to its folder. On any error, and when the signal is aborted, nothing is left and what was
 * there before is as it was. Throws EngineError: `bad_model` for a broken model folder, or one that an importer wrote before
 * manifests kept the checkpoint's configuration; `invalid_request` for a folder that exists.
 */
export async function writeCheckpoint(
  { modelFolder, outFolder, isReplacing }: CheckpointOptions,
  onProgress: (progress: CheckpointProgress) => void,
  signal: AbortSignal,
): Promise<string> {
  const target = resolve(outFolder);
  if (!isReplacing && (await stat(target).catch(() => null)) !== null) {
    throw new EngineError("invalid_request", `${target} exists already; --force replaces it`, { param: "out" });
  }
  const manifest = await readManifest(modelFolder);
  await verifyFiles(modelFolder, manifest, signal);
  try {
    const config = configOf(manifest);
    const weights = await StoredWeights.open(modelFolder);
    try {
      const tensors = checkpointTensors(weights, parseConfig(config));
      await mkdir(dirname(target), { recursive: true });
      const work = await mkdtemp(join(dirname(target), `.${basename(target)}.writing-`));
      try {
        const total = tensors.reduce((sum, { source }) => sum + source.rows * source.columns, 0);
        let done = 0;
        const onValues = (values: number) => onProgress({ phase: "weights", done: (done += values), total });
        await writeSafetensors(join(work, WEIGHTS_FILE), tensors, { type: "F32", onValues, signal });
        await copyTokenFiles(modelFolder, work);
        await writeFile(join(work, CONFIG_FILE), `${JSON.stringify(inFloat32(config), null, 2)}\n`);
        signal.throwIfAborted();
        // mkdtemp lets nobody else in, but a trainer may run as another user.
        await chmod(work, 0o755);
        await moveIntoPlace(work, target);
      } catch (error) {
        await rm(work, { recursive: true, force: true });
        throw error;
      }
    } finally {
      await weights.close();
    }
  } catch (cause) {
    throw signal.aborted ? cause : inFolder(modelFolder, cause);
  }
  return target;
}

function configOf({ provenance, network }: Manifest): JsonObject {
  const config = provenance["config"];
  if (!isObject(config)) {
    throw badModel(
      manifestName,
      "has no provenance.config, as an older importer wrote it: import its checkpoint again",
    );
  }
  const { layers, vocabSize, hiddenSize } = parseConfig(config);
  if (layers !== network.layers || vocabSize !== network.vocabSize || hiddenSize !== network.hiddenSize) {
    throw badModel(manifestName, "field provenance.config describes another network than field network");
  }
  return config;
}

/** Whichever of its two names the type of the weights has. */
function inFloat32(config: JsonObject): JsonObject {
  const name = config["dtype"] === undefined ? "torch_dtype" : "dtype";
  return { ...config, [name]: "float32" };
}
