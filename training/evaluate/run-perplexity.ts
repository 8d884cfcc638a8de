// Owns the command that scores held-out dialogues under a model of this machine, file by file and role by role.
// What a score is, is score-dialogue.ts's; what is estimated from scores, held-out.ts's.
import { writeFile } from "node:fs/promises";
import type { ChatModel, ModelRole } from "../../runtime/chat-model.ts";
import type { Conversation } from "../conversation.ts";
import { isGroupHeldOut } from "../prepare/prepare.ts";
import { readSource, type SourceOptions } from "../sources/read-source.ts";
import { heldOutFigures } from "./held-out.ts";
import { openModel } from "./open-model.ts";
import { type Options, UsageError } from "./options.ts";
import { type HeldOutLine, heldOutText } from "./report-text.ts";
import { Sample } from "./sample.ts";
import { type DialogueScore, scoreDialogue } from "./score-dialogue.ts";
import type { Terminal } from "./terminal.ts";

const devices = ["auto", "cpu", "cuda", "webgpu"] as const;

export async function runPerplexity(options: Options, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const files = options.list("data");
  if (files.length === 0) throw new UsageError("--data is needed.");
  const seed = options.whole("seed", 1, 0);
  const pick = {
    limit: options.wholeOrNull("limit"),
    seed,
    holdout: { holdout: options.share("holdout", 1), seed: options.whole("holdout-seed", 125, 0) },
    store: { data: options.text("store"), url: options.text("url") },
  };
  const which = options.oneOf("role", ["own", "other", "both"], "own");
  const choice = {
    model: options.needed("model"),
    url: null,
    apiKey: null,
    device: options.oneOf("device", devices, "cpu"),
    threads: options.wholeOrNull("threads"),
    concurrency: 1,
  };
  const model = await openModel(choice, (note) => terminal.note(note), signal);
  try {
    const lines: HeldOutLine[] = [];
    for (const role of rolesOf(which, model.info.role)) {
      const all: DialogueScore[] = [];
      for (const file of files) {
        const { dialogues, broken } = await pickDialogues(file, pick, signal);
        const scores = await scoreAll(model, dialogues, role, signal);
        lines.push({ file, role, broken, ...heldOutFigures(scores, seed) });
        all.push(...scores);
        const passed = broken === 0 ? "" : `, ${broken} rows cannot be read`;
        terminal.note(`${file}: the ${role}'s turns of ${scores.length} dialogues scored${passed}`);
      }
      if (files.length > 1) {
        const broken = lines.reduce((sum, line) => sum + (line.role === role ? line.broken : 0), 0);
        lines.push({ file: null, role, broken, ...heldOutFigures(all, seed) });
      }
    }
    const { id, modelHash, precision, contextWindow } = model.info;
    terminal.print(heldOutText(id, lines));
    const path = options.text("json");
    if (path === null) return;
    const result = { model: { id, role: model.info.role, modelHash, precision, contextWindow }, ...pick, lines };
    await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  } finally {
    await model.close();
  }
}

function rolesOf(which: "own" | "other" | "both", own: ModelRole): readonly ModelRole[] {
  const other = own === "user" ? "assistant" : "user";
  if (which === "both") return [own, other];
  return [which === "own" ? own : other];
}

interface Pick {
  readonly limit: number | null;
  readonly seed: number;
  /** The share of groups that is scored, chosen as training chooses what it holds out. */
  readonly holdout: { readonly holdout: number; readonly seed: number };
  readonly store: SourceOptions["store"];
}

async function pickDialogues(
  source: string,
  { limit, seed, holdout, store }: Pick,
  signal: AbortSignal,
): Promise<{ readonly dialogues: readonly Conversation[]; readonly broken: number }> {
  const sample = new Sample<Conversation>(limit ?? Number.POSITIVE_INFINITY, seed);
  let broken = 0;
  for await (const row of readSource(source, { format: null, store }, signal)) {
    if (row.kind === "broken") broken += 1;
    if (row.kind !== "conversation" || !isGroupHeldOut(row.conversation.group, holdout)) continue;
    const said = row.conversation.utterances.map(({ role, content }) => `${role}\0${content}`);
    sample.add(said.join("\0"), row.conversation);
  }
  return { dialogues: sample.items(), broken };
}

async function scoreAll(
  model: ChatModel,
  dialogues: readonly Conversation[],
  role: ModelRole,
  signal: AbortSignal,
): Promise<readonly DialogueScore[]> {
  const scores: DialogueScore[] = [];
  for (const dialogue of dialogues) scores.push(await scoreDialogue(model, dialogue, role, signal));
  return scores;
}
