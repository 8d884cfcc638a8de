// Owns the command that scores held-out dialogues under a model of this machine, or two, file by file and role by role.
// What a score is, is score-dialogue.ts's; what is estimated from scores, held-out.ts's and compare-held-out.ts's.
import { writeFile } from "node:fs/promises";
import type { ModelInfo, ModelRole } from "../../runtime/chat-model.ts";
import { compareHeldOut } from "./compare-held-out.ts";
import { heldOutFigures } from "./held-out.ts";
import { devices, type ModelChoice, openModel } from "./open-model.ts";
import { type Options, UsageError } from "./options.ts";
import { type Draw, drawOf, pickDialogues } from "./pick-dialogues.ts";
import { comparisonText, heldOutText } from "./report-text.ts";
import { type DialogueScore, scoreDialogue } from "./score-dialogue.ts";
import type { Terminal } from "./terminal.ts";

export async function runPerplexity(options: Options, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const files = options.list("data");
  if (files.length === 0) throw new UsageError("--data is needed.");
  const pick = drawOf(options);
  const { seed } = pick;
  const which = options.oneOf("role", ["own", "other", "both"], "own");
  const choice = {
    url: null,
    apiKey: null,
    device: options.oneOf("device", devices, "cpu"),
    threads: options.wholeOrNull("threads"),
    concurrency: 1,
  };
  const [name, rival] = [options.needed("model"), options.text("against")];
  const scored = await scoreAll(
    { ...choice, model: name },
    (own) => rolesOf(which, own),
    files,
    pick,
    terminal,
    signal,
  );
  // One model is in memory at a time; both score the same roles, those that `which` means for the first.
  const roles = scored.parts.map(({ role }) => role);
  const compared =
    rival === null ? null : await scoreAll({ ...choice, model: rival }, () => roles, files, pick, terminal, signal);
  const lines = linesOf(scored.parts, (scores) => heldOutFigures(scores, seed));
  terminal.print(heldOutText(scored.model.id, lines));
  const against = compared === null ? null : againstOf(scored, compared, seed);
  if (against !== null) {
    terminal.print(`\n${heldOutText(against.model.id, against.lines)}`);
    terminal.print(`\n${comparisonText(scored.model.id, against.model.id, against.comparisons)}`);
  }
  const path = options.text("json");
  if (path === null) return;
  const result = { model: scored.model, ...pick, lines, ...(against === null ? {} : { against }) };
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
}

type ModelFacts = Pick<ModelInfo, "id" | "role" | "modelHash" | "precision" | "contextWindow">;

/** The scores of one role's turns, file by file, in the order of the files. */
interface RoleScores {
  readonly role: ModelRole;
  readonly files: readonly {
    readonly file: string;
    readonly broken: number;
    readonly scores: readonly DialogueScore[];
  }[];
}

interface ModelScores {
  readonly model: ModelFacts;
  readonly parts: readonly RoleScores[];
}

async function scoreAll(
  choice: ModelChoice,
  rolesFor: (own: ModelRole) => readonly ModelRole[],
  files: readonly string[],
  pick: Draw,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ModelScores> {
  const model = await openModel(choice, (note) => terminal.note(note), signal);
  try {
    const parts: RoleScores[] = [];
    for (const role of rolesFor(model.info.role)) {
      const scored: RoleScores["files"][number][] = [];
      for (const file of files) {
        const { dialogues, broken } = await pickDialogues(file, pick, signal);
        const scores: DialogueScore[] = [];
        for (const dialogue of dialogues) scores.push(await scoreDialogue(model, dialogue, role, signal));
        scored.push({ file, broken, scores });
        const passed = broken === 0 ? "" : `, ${broken} rows cannot be read`;
        const by = `scored by ${model.info.id}`;
        terminal.note(`${file}: the ${role}'s turns of ${scores.length} dialogues ${by}${passed}`);
      }
      parts.push({ role, files: scored });
    }
    const { id, role, modelHash, precision, contextWindow } = model.info;
    return { model: { id, role, modelHash, precision, contextWindow }, parts };
  } finally {
    await model.close();
  }
}

/** A line for each role and file, and one for all files of a role where there are several. */
function linesOf<T>(
  parts: readonly RoleScores[],
  figures: (scores: readonly DialogueScore[], role: ModelRole, file: number | null) => T,
): readonly (T & { readonly file: string | null; readonly role: ModelRole; readonly broken: number })[] {
  return parts.flatMap(({ role, files }) => {
    const lines = files.map(({ file, broken, scores }, index) => ({
      file: file as string | null,
      role,
      broken,
      ...figures(scores, role, index),
    }));
    if (files.length < 2) return lines;
    const broken = files.reduce((sum, line) => sum + line.broken, 0);
    const scores = files.flatMap((line) => line.scores);
    return [...lines, { file: null, role, broken, ...figures(scores, role, null) }];
  });
}

function againstOf(own: ModelScores, other: ModelScores, seed: number) {
  const comparisons = linesOf(own.parts, (scores, role, index) => {
    const files = other.parts.find((part) => part.role === role)?.files ?? [];
    const theirs = index === null ? files.flatMap((file) => file.scores) : (files[index]?.scores ?? []);
    return compareHeldOut(scores, theirs, seed);
  });
  return {
    model: other.model,
    lines: linesOf(other.parts, (scores) => heldOutFigures(scores, seed)),
    comparisons,
  };
}

function rolesOf(which: "own" | "other" | "both", own: ModelRole): readonly ModelRole[] {
  const other = own === "user" ? "assistant" : "user";
  if (which === "both") return [own, other];
  return [which === "own" ? own : other];
}
