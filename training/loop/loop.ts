// Owns a loop from its first round to its last: each begins with the models that the one before ended with.
// What a round does is round.ts's.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder, waitForFolder } from "../../runtime/folder-lock.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { FlagError } from "../prepare/flags.ts";
import type { LoopOptions } from "./options.ts";
import { type ModelPair, readRecord, type RoundRecordJson } from "./record.ts";
import { roundFolder, type RoundHooks, runRound } from "./round.ts";
import { type LoopModels, openRun, type Run } from "./run.ts";

export interface LoopHooks extends RoundHooks {
  /** Whether another loop at work in the folder is waited for, which may be one that is just ending; else it is a FlagError. */
  readonly isWaiting?: boolean;
}

/** Runs every round that is not done, and resolves to the records of all. Throws what the steps throw; --resume goes on from there. */
export async function runLoop(
  options: LoopOptions,
  hooks: LoopHooks,
  signal: AbortSignal,
): Promise<readonly RoundRecordJson[]> {
  await mkdir(options.runFolder, { recursive: true });
  const unlock =
    hooks.isWaiting === true ? await waitForFolder(options.runFolder, signal) : lockFolder(options.runFolder);
  if (unlock === null) throw new FlagError(`another loop is at work in ${options.runFolder}`);
  try {
    const run = await openRun(options, signal);
    const records: RoundRecordJson[] = [];
    let models = run.start;
    for (let round = 1; round <= options.rounds; round += 1) {
      const folder = join(run.folder, roundFolder(round));
      const done = await readRecord(folder);
      models = done?.ends ? modelsOf(run, done.ends) : await runRound(run, round, models, hooks, signal);
      const record = await readRecord(folder);
      if (record === null) continue;
      records.push(record);
      hooks.onRoundEnd?.(record);
    }
    return records;
  } finally {
    unlock();
  }
}

/** The folders of models that played or are to play: accepted ones lie in the models folder. */
function modelsOf(run: Run, { user, assistant }: ModelPair): LoopModels {
  const find = (role: "user" | "assistant", { id, hash }: ModelPair["user"]) => {
    const isStart = run.start[role].hash === hash;
    return { id, hash, folder: isStart ? run.start[role].folder : join(run.modelsFolder, modelFolderName(id)) };
  };
  return { user: find("user", user), assistant: find("assistant", assistant) };
}
