// Owns the command that asks a user model of this machine where it would end held-out dialogues, file by file.
// What is asked, is ask-endings.ts's; what is counted, termination.ts's.
import { writeFile } from "node:fs/promises";
import { type AskedPlaces, askEndings } from "./ask-endings.ts";
import { devices, openModel } from "./open-model.ts";
import { type Options, UsageError } from "./options.ts";
import { drawOf, pickDialogues } from "./pick-dialogues.ts";
import { terminationFigures } from "./termination.ts";
import { terminationText } from "./termination-text.ts";
import type { Terminal } from "./terminal.ts";

export async function runTermination(options: Options, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const files = options.list("data");
  if (files.length === 0) throw new UsageError("--data is needed.");
  const pick = drawOf(options);
  const asking = {
    temperature: options.share("temperature", 0),
    seed: pick.seed,
    areComplete: options.oneOf("complete", ["said", "all"], "said") === "all",
  };
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
    const { id, role, modelHash, precision, contextWindow } = model.info;
    if (role !== "user") throw new UsageError(`--model ${id} writes the assistant's turns; only users end dialogues.`);
    const read: { file: string; broken: number; asked: readonly AskedPlaces[] }[] = [];
    for (const file of files) {
      const { dialogues, broken } = await pickDialogues(file, pick, signal);
      const asked: AskedPlaces[] = [];
      for (const dialogue of dialogues) asked.push(await askEndings(model, dialogue, asking, signal));
      read.push({ file, broken, asked });
      const passed = broken === 0 ? "" : `, ${broken} rows cannot be read`;
      terminal.note(`${file}: asked in ${asked.length} dialogues${passed}`);
    }
    const lines = read.map(({ file, broken, asked }) => ({
      file: file as string | null,
      broken,
      ...terminationFigures(asked, pick.seed),
    }));
    if (files.length > 1) {
      const broken = lines.reduce((sum, line) => sum + line.broken, 0);
      const asked = read.flatMap((line) => line.asked);
      lines.push({ file: null, broken, ...terminationFigures(asked, pick.seed) });
    }
    terminal.print(terminationText(id, lines));
    const path = options.text("json");
    if (path === null) return;
    const facts = { id, role, modelHash, precision, contextWindow };
    await writeFile(path, `${JSON.stringify({ model: facts, ...pick, ...asking, lines }, null, 2)}\n`);
  } finally {
    await model.close();
  }
}
