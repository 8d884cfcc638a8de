// Owns keeping the figures of a job level with its store: reads what ended since, in the order of the index, and writes each
// verdict down. Any gateway may follow any job: all come to the same, as nothing but the stored dialogues counts.
// It knows dialogues as the store hands them out, no tables.
import { dialogueId } from "../jobs/job-plan.ts";
import type { Json, StoredDialogue } from "../store/records.ts";
import { judgementsOf } from "./judge-sample.ts";
import type { Judgement } from "../../../training/measures/judge-scores.ts";
import type { RunningQuality } from "../../../training/measures/job-quality.ts";
import { toQualityDialogue, toQualityFlags } from "./of-stored.ts";
import { scoresOf } from "./score-sample.ts";
import type { QualitySnapshot } from "../../../training/measures/quality-types.ts";
import type { ScoredDialogue } from "../../../training/measures/turn-scores.ts";

export interface FollowedDialogues {
  /** Dialogues behind index `after` in their order, finished or not; fewer than there are, but none only at the end. */
  read(after: number): Promise<readonly StoredDialogue[]>;
  /** Writes a verdict beside its dialogue, and leaves what else stands there. */
  write(index: number, flags: Json): Promise<void>;
}

export class JobFollower {
  readonly #jobId: string;
  readonly #dialogues: FollowedDialogues;
  readonly #quality: RunningQuality;
  readonly #kept: number[] = [];
  #after = -1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(jobId: string, dialogues: FollowedDialogues, quality: RunningQuality) {
    this.#jobId = jobId;
    this.#dialogues = dialogues;
    this.#quality = quality;
  }

  /** The figures of every dialogue before the first that has not ended. Throws what the store throws, and can be asked again. */
  async catchUp(): Promise<QualitySnapshot> {
    const caughtUp = this.#last.then(() => this.#read());
    this.#last = caughtUp.catch(() => undefined);
    await caughtUp;
    return this.#quality.snapshot();
  }

  /** Takes a mark that was written beside a dialogue after it was read. */
  addJudgement(judgement: Judgement): void {
    this.#quality.addJudgement(judgement);
  }

  /** Takes scores that were written beside a dialogue after it was read. */
  addScores(scored: ScoredDialogue): void {
    this.#quality.addScores(scored);
  }

  /** Indices of the first dialogues that were measured and neither repeat another nor are empty, at most `limit`. */
  firstKept(limit: number): readonly number[] {
    return this.#kept.slice(0, limit);
  }

  async #read(): Promise<void> {
    for (;;) {
      const page = await this.#dialogues.read(this.#after);
      if (page.length === 0) return;
      for (const stored of page) {
        if (stored.status === "queued" || stored.status === "running") return;
        await this.#take(stored);
        this.#after = stored.index;
      }
    }
  }

  async #take(stored: StoredDialogue): Promise<void> {
    const dialogue = toQualityDialogue(dialogueId(this.#jobId, stored.index), stored);
    if (dialogue === null) return;
    const verdict = this.#quality.add(dialogue);
    const isKept = !verdict.isExactDuplicate && !verdict.isNearDuplicate && dialogue.turns.length > 0;
    if (isKept) this.#kept.push(stored.index);
    for (const scored of scoresOf(stored)) this.#quality.addScores({ ...scored, dialogueId: dialogue.id });
    for (const { judge, seed, scores, outcome } of judgementsOf(stored)) {
      this.#quality.addJudgement({ judge, seed, scores, outcome, dialogueId: dialogue.id });
    }
    if (stored.quality === null) await this.#dialogues.write(stored.index, toQualityFlags(verdict));
  }
}
