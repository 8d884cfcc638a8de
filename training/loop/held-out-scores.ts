// Owns how probable the run's held-out dialogues are to a model, and to it beside its parent: scores are kept in RUN/scores, so that
// a model is scored once, as a candidate, and stands there for its children. What figures mean is training/evaluate/'s.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { compareHeldOut, type HeldOutComparison } from "../evaluate/compare-held-out.ts";
import { type HeldOutFigures, heldOutFigures } from "../evaluate/held-out.ts";
import { openModel } from "../evaluate/open-model.ts";
import { pickDialogues } from "../evaluate/pick-dialogues.ts";
import { type DialogueScore, scoreDialogue } from "../evaluate/score-dialogue.ts";
import type { StepResult } from "./record.ts";
import type { LoopModel, Run } from "./run.ts";
import { jsonText, sha256Of, writeWhole } from "./whole-file.ts";

/** For each file, and for all of them together (`file` null). */
export interface HeldOutLine {
  readonly file: string | null;
  readonly model: HeldOutFigures;
  readonly parent: HeldOutFigures;
  readonly comparison: HeldOutComparison;
}

/** What stands in heldout-ROLE.json; the last line is over all files. */
export interface HeldOutReport {
  readonly role: ModelRole;
  readonly model: { readonly id: string; readonly hash: string };
  readonly parent: { readonly id: string; readonly hash: string };
  readonly lines: readonly HeldOutLine[];
}

interface FileScores {
  readonly file: string;
  readonly scores: readonly DialogueScore[];
}

interface ModelScores {
  readonly files: readonly FileScores[];
  /** Of the file that keeps them, and where it is in the run folder. */
  readonly path: string;
  readonly sha256: string;
}

/** Scores candidate and parent and writes the comparison to `path`, a name within the run folder. */
export async function scoreRole(
  run: Run,
  role: ModelRole,
  candidate: LoopModel,
  parent: LoopModel,
  path: string,
  signal: AbortSignal,
): Promise<StepResult> {
  const theirs = await scoresOf(run, role, parent, signal);
  const own = await scoresOf(run, role, candidate, signal);
  const report: HeldOutReport = {
    role,
    model: { id: candidate.id, hash: candidate.hash },
    parent: { id: parent.id, hash: parent.hash },
    lines: heldOutLines(own.files, theirs.files, run.options.seed),
  };
  const sha256 = await writeWhole(join(run.folder, path), jsonText(report));
  return { outputs: { [theirs.path]: theirs.sha256, [own.path]: own.sha256, [path]: sha256 }, facts: {} };
}

function heldOutLines(own: readonly FileScores[], theirs: readonly FileScores[], seed: number): HeldOutLine[] {
  const line = (file: string | null, model: readonly DialogueScore[], parent: readonly DialogueScore[]) => ({
    file,
    model: heldOutFigures(model, seed),
    parent: heldOutFigures(parent, seed),
    comparison: compareHeldOut(model, parent, seed),
  });
  const all = (files: readonly FileScores[]) => files.flatMap(({ scores }) => scores);
  const lines = own.map(({ file, scores }, index) => line(file, scores, theirs[index]?.scores ?? []));
  return [...lines, line(null, all(own), all(theirs))];
}

/** Of a model that was scored before, as they were found then. */
async function scoresOf(run: Run, role: ModelRole, model: LoopModel, signal: AbortSignal): Promise<ModelScores> {
  const path = `scores/${role}-${model.hash.slice(0, 16)}.json`;
  const place = join(run.folder, path);
  const known = await readFile(place, "utf8").catch(() => null);
  if (known !== null) {
    const { files } = JSON.parse(known) as { readonly files: readonly FileScores[] };
    return { files, path, sha256: sha256Of(known) };
  }
  const files = await scoreAll(run, role, model, signal);
  const sha256 = await writeWhole(place, jsonText({ role, model: model.hash, files }));
  return { files, path, sha256 };
}

async function scoreAll(
  { options }: Run,
  role: ModelRole,
  { folder }: LoopModel,
  signal: AbortSignal,
): Promise<FileScores[]> {
  const { device, threads, heldoutLimit: limit, seed } = options;
  const choice = { model: folder, url: null, apiKey: null, device, threads, concurrency: 1 };
  const pick = { limit, seed, holdout: { holdout: 1, seed: 0 }, store: { data: null, url: null } };
  const model = await openModel(choice, () => {}, signal);
  try {
    const files: FileScores[] = [];
    for (const file of options.heldout) {
      const { dialogues } = await pickDialogues(file, pick, signal);
      const scores: DialogueScore[] = [];
      for (const dialogue of dialogues) scores.push(await scoreDialogue(model, dialogue, role, signal));
      files.push({ file, scores });
    }
    return files;
  } finally {
    await model.close();
  }
}
