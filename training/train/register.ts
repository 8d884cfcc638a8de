// Owns a trained checkpoint's way among the served models: import beside the place, check, note where it comes from, move in.
// Whatever fails, the models folder is as it was. It prints nothing and trains nothing.
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EngineError } from "../../runtime/errors.ts";
import {
  importCheckpoint,
  type ImportOptions,
  type ImportProgress,
  moveIntoPlace,
} from "../../runtime/importer/import-checkpoint.ts";
import { isObject } from "../../runtime/importer/json.ts";
import { manifestName, readManifest } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { readTextSide } from "../../runtime/text-side.ts";
import { checkImport, type ImportCheck, importProblem } from "./check-import.ts";

export interface RegisterOptions {
  /** `source` is the checkpoint. */
  readonly importing: ImportOptions;
  /** With the recipe's reference. */
  readonly runFolder: string;
  /** Of the template that the examples were written with. */
  readonly templateHash: string;
  /** For the manifest: how it was trained. Plain JSON. */
  readonly training: Readonly<Record<string, unknown>>;
}

export interface Registered {
  /** Of the model. */
  readonly folder: string;
  readonly check: ImportCheck;
}

/** Whether the place is free, or may be taken. Throws EngineError("invalid_request"): before a training, not after it. */
export async function assertFree({ outFolder, id, isReplacing }: ImportOptions): Promise<void> {
  const target = join(outFolder, modelFolderName(id));
  if (isReplacing || (await stat(target).catch(() => null)) === null) return;
  throw new EngineError("invalid_request", `${target} exists already; --force replaces it once the training is done`);
}

/** Puts the model in place. Throws EngineError, or an Error with a sentence; then, and when aborted, nothing has changed. */
export async function register(
  { importing, runFolder, templateHash, training }: RegisterOptions,
  onProgress: (progress: ImportProgress) => void,
  signal: AbortSignal,
): Promise<Registered> {
  const out = resolve(importing.outFolder);
  await mkdir(out, { recursive: true });
  const work = await mkdtemp(join(out, `.${modelFolderName(importing.id)}.training-`));
  try {
    const folder = await importCheckpoint({ ...importing, outFolder: work }, onProgress, signal);
    await assertTemplate(folder, templateHash);
    const check = await checkImport(folder, runFolder, signal);
    const problem = importProblem(check);
    if (problem !== null) throw new EngineError("bad_model", problem);
    await note(folder, { ...training, importCheck: check });
    signal.throwIfAborted();
    const target = join(out, modelFolderName(importing.id));
    await moveIntoPlace(folder, target);
    return { folder: target, check };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** What is served must be what was trained: another template would be asked things that the model has never seen. */
async function assertTemplate(folder: string, templateHash: string): Promise<void> {
  const { template } = await readTextSide(folder, await readManifest(folder));
  if (template.hash === templateHash) return;
  const message =
    `the checkpoint's chat template (SHA-256 ${template.hash}) is not the one that the examples ` +
    `were written with (${templateHash})`;
  throw new EngineError("bad_model", message);
}

/** The manifest's hash is over files, network and tokens: how they came about is not part of it. */
async function note(folder: string, training: Readonly<Record<string, unknown>>): Promise<void> {
  const path = join(folder, manifestName);
  const manifest = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  const known = isObject(manifest["provenance"]) ? manifest["provenance"] : {};
  const provenance = { ...known, training };
  await writeFile(path, `${JSON.stringify({ ...manifest, provenance }, null, 2)}\n`);
}
