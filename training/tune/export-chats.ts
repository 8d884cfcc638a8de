// Owns the way from files of chats to a pre-tokenized export: every line that cannot be trained on is told with the reason, and
// nothing is trained where there is one. It trains nothing.
import { readManifest } from "../../runtime/manifest.ts";
import { checkRole } from "../../runtime/text/chat-template.ts";
import { openModelText } from "../examples/model-text.ts";
import { exportFolder, type Incoming } from "../exports/export-folder.ts";
import type { ExportRecord } from "../exports/format.ts";
import { tokenized } from "../exports/tokenized.ts";
import { readSource } from "../sources/read-source.ts";
import type { TuneJob } from "./tune-job.ts";

export type ChatFile = "training" | "validation";

export interface ChatProblem {
  readonly line: number;
  /** A clause that follows "line 3:". */
  readonly reason: string;
}

/** A file cannot be trained on. */
export class InvalidChats extends Error {
  override readonly name = "InvalidChats";
  readonly file: ChatFile;
  /** The first ones. */
  readonly problems: readonly ChatProblem[];
  readonly count: number;

  constructor(file: ChatFile, problems: readonly ChatProblem[], count: number) {
    super(`${count} lines of the ${file} file cannot be trained on`);
    this.file = file;
    this.problems = problems;
    this.count = count;
  }
}

const toldProblems = 5;
/** An example that is longer than the context window loses its end; one that has nothing left is no fault of its line. */
const tooLong = "first trained turn ends beyond the most tokens";
/** What a chat without messages of the trained role is told. */
const untrained = "no turn to train on";

/** Writes the export into `out`, in the place of another. Throws InvalidChats, and has then written nothing. */
export async function exportChats(job: TuneJob, out: string, signal: AbortSignal): Promise<ExportRecord> {
  const { role, modelFolder, trainingFile, validationFile } = job;
  const manifest = await readManifest(modelFolder);
  const model = await openModelText(modelFolder);
  // What would be found out after the training: the template must open the turns of the role.
  checkRole(model.template, role);
  const book = new ProblemBook();

  async function* incoming(): AsyncGenerator<Incoming> {
    for (const [path, isHeldOut] of [
      [trainingFile, false],
      [validationFile, true],
    ] as const) {
      if (path === null) continue;
      let conversations = 0;
      const store = { data: null, url: null };
      for await (const row of readSource(path, { format: "openai", store }, signal)) {
        if (row.kind === "broken") book.add(row.origin.row, row.reason);
        if (row.kind !== "conversation") continue;
        conversations += 1;
        yield { ...row.conversation, isHeldOut };
      }
      if (conversations === 0 && !book.hasAny) book.add(1, "there is no chat in the file.");
      book.assertNone(isHeldOut ? "validation" : "training");
    }
  }
  const record = await exportFolder(
    incoming(),
    {
      format: tokenized,
      out,
      isReplacing: true,
      role,
      model,
      maxTokens: manifest.contextWindow,
      learnsEnd: true,
      created: new Date(job.createdAt),
      funnel: () => null,
      measures: () => Promise.resolve(null),
      onExported: () => {},
      onLeftOut({ origin }, reason) {
        if (reason === tooLong) return;
        const words =
          reason === untrained ? `holds no message of the ${role} to train on.` : `cannot be trained on: ${reason}.`;
        book.add(origin.row, words);
      },
    },
    signal,
  );
  if (record.counts.train > 0) return record;
  throw new InvalidChats("training", [{ line: 1, reason: "no chat of the file fits into the context window." }], 1);
}

class ProblemBook {
  #problems: ChatProblem[] = [];
  #count = 0;

  get hasAny(): boolean {
    return this.#count > 0;
  }

  add(line: number, reason: string): void {
    this.#count += 1;
    if (this.#problems.length < toldProblems) this.#problems.push({ line, reason });
  }

  /** Throws InvalidChats. */
  assertNone(file: ChatFile): void {
    if (this.#count > 0) throw new InvalidChats(file, this.#problems, this.#count);
  }
}
