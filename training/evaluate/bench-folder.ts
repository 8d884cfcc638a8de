// Owns where a bench's answers and judgments are: FastChat's folders, a file a model, a file a judge and kind.
// It does not know what is in them.
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";

export type JudgmentKind = "single" | "pair";

/** The files of one bench under one folder. */
export class BenchFolder {
  readonly #root: string;

  /** `bench` is a name, or the file of its questions. */
  constructor(folder: string, bench: string) {
    this.#root = join(folder, basename(bench).replace(/\.jsonl(\.gz)?$/, ""));
  }

  answerFile(modelId: string): string {
    return join(this.#root, "model_answer", `${toFileName(modelId)}.jsonl`);
  }

  judgmentFile(judgeId: string, kind: JudgmentKind): string {
    return join(this.#root, "model_judgment", `${toFileName(judgeId)}_${kind}.jsonl`);
  }

  /** A file of answers as it was named, or a model's in the folder, packed or not. Throws an Error where there is none. */
  async findAnswers(model: string): Promise<string> {
    const own = this.answerFile(model);
    for (const path of [own, `${own}.gz`, model]) if (await isFile(path)) return path;
    throw new Error(`There are no answers of ${model}: ${own} does not exist.`);
  }

  async judgmentFiles(): Promise<readonly string[]> {
    const folder = join(this.#root, "model_judgment");
    const names = await readdir(folder).catch(() => []);
    return names.filter((name) => /_(single|pair)\.jsonl(\.gz)?$/.test(name)).map((name) => join(folder, name));
  }
}

/** What is in a file of judgments, by its name; reviews are Vicuna's. */
export function kindOf(path: string): JudgmentKind | "review" {
  if (basename(path).startsWith("review_")) return "review";
  return /_pair\.jsonl(\.gz)?$/.test(path) ? "pair" : "single";
}

const toFileName = (id: string): string => id.replaceAll(/[^A-Za-z0-9._-]/g, "_");

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
