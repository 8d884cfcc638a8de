// Owns the proof that a run is what its records say: every file has the SHA-256 that names it, and every step was made from what came
// before it, so that the way from a dialogue to weights has no gap. It changes nothing.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import { readManifest, verifyFiles } from "../../runtime/manifest.ts";
import { modelFolderName } from "../../runtime/model-id.ts";
import { readRecord, type RoundRecordJson } from "./record.ts";
import { roundFolder } from "./round.ts";
import { SETTINGS_FILE } from "./run.ts";
import { sha256Of } from "./whole-file.ts";

export interface VerifiedRun {
  readonly rounds: number;
  /** Files and models whose hashes were computed. */
  readonly checked: number;
  /** What is not as the records say, a sentence each. */
  readonly problems: readonly string[];
}

/** Looks at every round that has a record. Throws an Error where the folder holds no run. */
export async function verifyRun(runFolder: string, modelsFolder: string, signal: AbortSignal): Promise<VerifiedRun> {
  const settings = await readFile(join(runFolder, SETTINGS_FILE), "utf8").catch(() => null);
  if (settings === null) throw new Error(`${runFolder} holds no run: it has no ${SETTINGS_FILE}`);
  const { inputs } = JSON.parse(settings) as { readonly inputs: RunInputs };
  /** Everything that a step may have been made from, by name. */
  const known = new Map<string, string>([
    [SETTINGS_FILE, sha256Of(settings)],
    [`model ${inputs.user.id}`, inputs.user.hash],
    [`model ${inputs.assistant.id}`, inputs.assistant.hash],
    ...Object.entries(inputs.heldout),
  ]);
  const problems: string[] = [];
  let checked = 0;
  let round = 1;
  for (; ; round += 1) {
    const record = await readRecord(join(runFolder, roundFolder(round)));
    if (record === null) break;
    problems.push(...chainProblems(record, known));
    const made = new Map(Object.values(record.steps).flatMap(({ outputs }) => Object.entries(outputs)));
    for (const [name, hash] of made) {
      checked += 1;
      const found = await hashNow(name, runFolder, modelsFolder, round, signal).catch((error: unknown) =>
        String(error),
      );
      if (found !== hash)
        problems.push(`${name} of round ${round} is not what its record names: ${found ?? "it is gone"}`);
    }
  }
  return { rounds: round - 1, checked, problems };
}

interface RunInputs {
  readonly user: { readonly id: string; readonly hash: string };
  readonly assistant: { readonly id: string; readonly hash: string };
  readonly heldout: Readonly<Record<string, string>>;
}

/** Steps that were made from something that nothing before them had made; `known` grows by what they made. */
function chainProblems({ round, steps }: RoundRecordJson, known: Map<string, string>): string[] {
  const problems: string[] = [];
  for (const [step, { inputs, outputs }] of Object.entries(steps)) {
    for (const [name, hash] of Object.entries(inputs)) {
      if (known.get(name) !== hash)
        problems.push(`the step ${step} of round ${round} was made from a ${name} that nothing made`);
    }
    for (const [name, hash] of Object.entries(outputs)) known.set(name, hash);
  }
  return problems;
}

/** Null where it is gone. */
async function hashNow(
  name: string,
  runFolder: string,
  modelsFolder: string,
  round: number,
  signal: AbortSignal,
): Promise<string | null> {
  const [, kind, id = ""] = /^(model|served) (.+)$/.exec(name) ?? [];
  if (kind === undefined) {
    const path = join(runFolder, name);
    return (await isThere(path)) ? (await fileHash(path, () => {}, signal)).sha256 : null;
  }
  const waiting = join(runFolder, roundFolder(round), "candidates", modelFolderName(id));
  const folder = kind === "model" && (await isThere(waiting)) ? waiting : join(modelsFolder, modelFolderName(id));
  if (!(await isThere(folder))) return null;
  const manifest = await readManifest(folder);
  await verifyFiles(folder, manifest, signal);
  return manifest.hash;
}

const isThere = async (path: string) => (await stat(path).catch(() => null)) !== null;
