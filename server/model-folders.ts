// Owns where models lie on disk: which folders the configuration names, which model is in which, and whether one has changed.
// It reads manifests and no weights. Ids are compared with what manifests say: none ever becomes part of a path here.
import { createHash } from "node:crypto";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EngineError } from "../runtime/errors.ts";
import { manifestName, readManifest } from "../runtime/manifest.ts";
import type { Config } from "./config.ts";

type FolderConfig = Pick<Config, "modelRoots" | "modelFolders" | "dataFolder">;

/** Where fine-tuned models are put: the only folder that a server is sure to be allowed to write to. */
export const tunedModelsFolder = (dataFolder: string) => join(dataFolder, "models");

/** Every model folder once, however often it is named: those of the roots by name, then the single ones as given. */
export async function findModelFolders(config: FolderConfig): Promise<string[]> {
  for (const root of config.modelRoots) {
    const isReadable = await readdir(root).catch(() => null);
    if (isReadable === null) throw new EngineError("bad_model", `The models folder ${root} cannot be read.`);
  }
  const single = new Set(config.modelFolders);
  const byPlace = new Map<string, string>();
  for (const folder of await listFolders(config)) {
    if (!(await hasManifest(folder))) {
      if (!single.has(folder)) continue;
      throw new EngineError("bad_model", `${folder} is not a model folder: it has no ${manifestName}.`);
    }
    const place = await realpath(folder);
    if (!byPlace.has(place)) byPlace.set(place, folder);
  }
  return [...byPlace.values()];
}

/** Folder by id. Two models of one id are found in milliseconds, before any weights are read. Throws EngineError. */
export async function folderById(folders: readonly string[]): Promise<Map<string, string>> {
  const folderOf = new Map<string, string>();
  for (const folder of folders) {
    const { id } = await readManifest(folder);
    const other = folderOf.get(id);
    if (other !== undefined) {
      throw new EngineError("bad_model", `${other} and ${folder} both hold a model named "${id}".`);
    }
    folderOf.set(id, folder);
  }
  return folderOf;
}

/** The folder that holds the model `id` now; null when there is none. Folders that cannot be read are passed over. */
export async function findModelFolder(config: FolderConfig, id: string): Promise<string | null> {
  for (const folder of await listFolders(config)) {
    const manifest = await readManifest(folder).catch(() => null);
    if (manifest?.id === id) return folder;
  }
  return null;
}

/** Every folder that may hold a model, those of the roots by name, fine-tuned ones, then the single ones. A root that cannot be read has none. */
export async function listFolders({ modelRoots, modelFolders, dataFolder }: FolderConfig): Promise<string[]> {
  const listed: string[] = [];
  for (const root of [...modelRoots, tunedModelsFolder(dataFolder)]) {
    const entries = await readdir(root).catch(() => []);
    // A dot hides folders that are still being written.
    const names = entries.filter((entry) => !entry.startsWith(".")).toSorted();
    listed.push(...names.map((name) => join(root, name)));
  }
  return [...listed, ...modelFolders];
}

/** Changes whenever the manifest does, and that names every file by its hash. Null where there is none. */
export async function fingerprintOf(folder: string): Promise<string | null> {
  const content = await readFile(join(folder, manifestName)).catch(() => null);
  return content === null ? null : createHash("sha256").update(content).digest("hex");
}

/** Whether the folder is gone while the folder that held it is there: a disk that is away takes no model with it. */
export async function isRemoved(folder: string): Promise<boolean> {
  if (await hasManifest(folder)) return false;
  return (await readdir(dirname(folder)).catch(() => null)) !== null;
}

const hasManifest = async (folder: string) => (await stat(join(folder, manifestName)).catch(() => null)) !== null;
