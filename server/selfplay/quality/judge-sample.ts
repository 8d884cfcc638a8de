// Owns having a sample of a job's dialogues judged: which ones, several at a time, and what is written beside each.
// It knows dialogues as the store hands them out and judges as self-play asks them, no tables and no HTTP.
import { scoreSession } from "../../../training/judge/judge.ts";
import { promptHash, type Rubric, scoreInstruction } from "../../../training/judge/prompts.ts";
import { dialogueId } from "../jobs/job-plan.ts";
import { wholeRounds } from "../jobs/record.ts";
import type { JudgeSetup } from "../../../training/judge/ask.ts";
import type { Json, StoredDialogue } from "../store/records.ts";
import { mix32 } from "../../../training/measures/hashing.ts";
import type { Judgement } from "../../../training/measures/judge-scores.ts";

export interface JudgeSampleRequest {
  readonly jobId: string;
  /** Dialogues of the job. */
  readonly count: number;
  readonly setup: JudgeSetup;
  readonly rubric: Rubric;
  /** How many dialogues are to have this judge's marks under this seed; those that have them already count. */
  readonly sample: number;
  /** Another seed asks again about the same dialogues, and shows how steady the judge is. */
  readonly seed: number;
}

export interface JudgedDialogues {
  find(index: number): Promise<StoredDialogue | null>;
  /** Adds fields beside those that are written already. */
  write(index: number, quality: Json): Promise<void>;
}

const IN_FLIGHT = 4;

/** Asks about dialogues that were measured and repeat no other, always the same ones first. Throws what the judge's model throws. */
export async function judgeSample(
  request: JudgeSampleRequest,
  dialogues: JudgedDialogues,
  onJudged: (judgement: Judgement) => void,
  signal: AbortSignal,
): Promise<void> {
  const { jobId, count, setup, rubric, sample, seed } = request;
  const judge = `${setup.model.info.id} ${promptHash(scoreInstruction(rubric))}`;
  const order = Array.from({ length: count }, (_, index) => index).toSorted((a, b) => mix32(a + 1) - mix32(b + 1));
  let next = 0;
  let taken = 0;
  const failed = new AbortController();
  const ending = AbortSignal.any([signal, failed.signal]);

  const work = async (): Promise<void> => {
    while (taken < sample && next < count && !ending.aborted) {
      const index = order[next] ?? 0;
      next += 1;
      // Taken before it is known to be fit, so that no two workers take the last place.
      taken += 1;
      const stored = await dialogues.find(index);
      if (stored === null || !isFit(stored)) {
        taken -= 1;
        continue;
      }
      const earlier = judgementsOf(stored);
      if (earlier.some((one) => one.judge === judge && one.seed === seed)) continue;
      const answer = await scoreSession(setup, wholeRounds(stored), rubric, seed, ending);
      const outcome = answer.isTooLong ? "skipped" : answer.value === null ? "failed" : "scored";
      const judgement = { judge, seed, scores: answer.value, outcome } as const;
      await dialogues.write(index, { judgements: [...earlier, { ...judgement, reply: answer.reply }] });
      onJudged({ ...judgement, dialogueId: dialogueId(jobId, index) });
    }
  };
  const workers = Array.from({ length: IN_FLIGHT }, () =>
    work().catch((error: unknown) => {
      failed.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  signal.throwIfAborted();
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** What judges said of a dialogue. */
export function judgementsOf({ quality }: Pick<StoredDialogue, "quality">): readonly Omit<Judgement, "dialogueId">[] {
  return (quality?.["judgements"] ?? []) as readonly Omit<Judgement, "dialogueId">[];
}

function isFit({ status, quality, turns }: StoredDialogue): boolean {
  if (status !== "completed" || quality === null || turns.length === 0) return false;
  return quality["exact_duplicate"] !== true && quality["near_duplicate"] !== true;
}
