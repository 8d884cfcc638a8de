// Owns having a sample of a source's dialogues judged: which ones, kept while they stream by, and several asked about at a time.
// It knows dialogues and judges, no sources and no reports.
import type { JudgeSetup } from "../judge/ask.ts";
import { scoreSession } from "../judge/judge.ts";
import { promptHash, type Rubric, scoreInstruction } from "../judge/prompts.ts";
import { hashText } from "../measures/hashing.ts";
import type { Judgement } from "../measures/judge-scores.ts";
import type { QualityDialogue } from "../measures/quality-types.ts";

type Sampled = Pick<QualityDialogue, "id" | "turns">;

/** Keeps the dialogues whose ids hash lowest: always the same ones, in whatever order they come. */
export class JudgeSample {
  readonly #size: number;
  readonly #kept: { readonly rank: number; readonly dialogue: Sampled }[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  offer({ id, turns }: Sampled): void {
    const rank = hashText(id);
    if (this.#size === 0 || (this.#kept.length === this.#size && rank >= (this.#kept.at(-1)?.rank ?? 0))) return;
    const at = this.#kept.findIndex((other) => other.rank > rank);
    this.#kept.splice(at === -1 ? this.#kept.length : at, 0, { rank, dialogue: { id, turns } });
    if (this.#kept.length > this.#size) this.#kept.pop();
  }

  get dialogues(): readonly Sampled[] {
    return this.#kept.map(({ dialogue }) => dialogue);
  }
}

export interface JudgeOptions {
  readonly setup: JudgeSetup;
  readonly rubric: Rubric;
  /** Each dialogue is judged under each seed; a second one shows how steady the judge is. */
  readonly seeds: readonly number[];
  readonly parallel: number;
}

export interface RecordedJudgement extends Judgement {
  readonly model: string;
  readonly promptHash: string;
  /** What the judge said last, word for word. */
  readonly reply: string;
}

/** In the order in which they come back. Throws what the judge's model throws. */
export async function judgeDialogues(
  dialogues: readonly Sampled[],
  { setup, rubric, seeds, parallel }: JudgeOptions,
  onJudged: (judgement: RecordedJudgement) => void,
  signal: AbortSignal,
): Promise<void> {
  const judge = `${setup.model.info.id} ${promptHash(scoreInstruction(rubric))}`;
  // First marks of all come before second ones: an interruption leaves a whole sample.
  const calls = seeds.flatMap((seed) => dialogues.map((dialogue) => ({ seed, dialogue })));
  const pending = calls.values();
  const failed = new AbortController();
  const ending = AbortSignal.any([signal, failed.signal]);
  const work = async (): Promise<void> => {
    for (const { seed, dialogue } of pending) {
      ending.throwIfAborted();
      const answer = await scoreSession(setup, dialogue.turns, rubric, seed, ending);
      const outcome = answer.isTooLong ? "skipped" : answer.value === null ? "failed" : "scored";
      const { value: scores, model, reply } = answer;
      onJudged({ judge, dialogueId: dialogue.id, seed, scores, outcome, model, promptHash: answer.promptHash, reply });
    }
  };
  const workers = Array.from({ length: parallel }, () =>
    work().catch((error: unknown) => {
      // The first failure is the one to tell; those that follow are of its making.
      if (!failed.signal.aborted) failed.abort(error);
    }),
  );
  await Promise.all(workers);
  signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
}
