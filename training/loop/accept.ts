// Owns a model's way from a round's folder into the models folder, in one move. It does not know why it was accepted.
import { cp, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { moveIntoPlace } from "../../runtime/importer/import-checkpoint.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { type LoopModel, readModel } from "./run.ts";

/**
 * Moves the candidate into the models folder and gives it as it lies there. One that was moved before, by a process that was killed,
 * is taken as it is. Throws an Error where another model has the place.
 */
export async function acceptModel(candidate: LoopModel, modelsFolder: string): Promise<LoopModel> {
  const target = join(modelsFolder, modelFolderName(candidate.id));
  if ((await stat(target).catch(() => null)) === null) {
    try {
      await rename(candidate.folder, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      await copyInto(candidate.folder, target);
    }
  }
  const accepted = await readModel(target);
  if (accepted.hash === candidate.hash) return accepted;
  throw new Error(`${target} is there already and holds another model than the candidate ${candidate.id}`);
}

/** Onto another disk: under a name that no gateway looks at until it is whole. */
async function copyInto(folder: string, target: string): Promise<void> {
  const work = join(dirname(target), `.${basename(target)}.copying`);
  await rm(work, { recursive: true, force: true });
  await cp(folder, work, { recursive: true });
  await moveIntoPlace(work, target);
  await rm(folder, { recursive: true, force: true });
}
