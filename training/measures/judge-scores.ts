// Owns what judges' marks come to: one summary per judge, marks of different judges never mixed.
// It takes marks that were read already; asking and reading are the judge's own business.
import { Distribution } from "./distribution.ts";

/** One call to a judge, or one that had to be left out. */
export interface Judgement {
  /** The judge's model and a hash of its instruction: marks are comparable only where all of it is equal. */
  readonly judge: string;
  readonly dialogueId: string;
  /** What the judge was asked with; the same judgement added twice counts once. */
  readonly seed: number;
  /** By criterion (complexity, relevancy, logicality …), 1 to 10; null when there are none. */
  readonly scores: Readonly<Partial<Record<string, number>>> | null;
  /** Why there are none: the session does not fit into the judge's window, or its replies were not to be read. */
  readonly outcome: "scored" | "skipped" | "failed";
}

interface CriterionSummary {
  readonly n: number;
  readonly mean: number | null;
  /** Mean absolute difference between the first two marks of dialogues judged twice; null without such. */
  readonly disagreement: number | null;
  readonly judgedTwice: number;
}

export interface JudgeSummary {
  readonly judge: string;
  readonly scored: number;
  readonly skipped: number;
  readonly failed: number;
  readonly criteria: Readonly<Record<string, CriterionSummary>>;
}

interface CriterionState {
  readonly marks: Distribution;
  readonly first: Map<string, number>;
  readonly compared: Set<string>;
  readonly differences: Distribution;
}

interface JudgeState {
  readonly outcomes: Record<Judgement["outcome"], number>;
  readonly criteria: Map<string, CriterionState>;
  readonly added: Set<string>;
}

/** Running over judgements. A dialogue's first mark counts in the mean; the second only shows how steady the judge is. */
export class JudgeScores {
  readonly #judges = new Map<string, JudgeState>();

  add({ judge, dialogueId, seed, scores, outcome }: Judgement): void {
    let state = this.#judges.get(judge);
    if (state === undefined) {
      state = { outcomes: { scored: 0, skipped: 0, failed: 0 }, criteria: new Map(), added: new Set() };
      this.#judges.set(judge, state);
    }
    const key = `${dialogueId} ${seed}`;
    if (state.added.has(key)) return;
    state.added.add(key);
    state.outcomes[outcome] += 1;
    for (const [name, mark] of Object.entries(scores ?? {})) {
      if (mark !== undefined) addMark(criterionOf(state, name), dialogueId, mark);
    }
  }

  summaries(): JudgeSummary[] {
    return [...this.#judges].map(([judge, { outcomes, criteria }]) => ({
      judge,
      scored: outcomes.scored,
      skipped: outcomes.skipped,
      failed: outcomes.failed,
      criteria: Object.fromEntries([...criteria].map(([name, state]) => [name, summaryOf(state)])),
    }));
  }
}

function criterionOf({ criteria }: JudgeState, name: string): CriterionState {
  let state = criteria.get(name);
  if (state === undefined) {
    state = { marks: new Distribution(), first: new Map(), compared: new Set(), differences: new Distribution() };
    criteria.set(name, state);
  }
  return state;
}

function addMark(state: CriterionState, dialogueId: string, mark: number): void {
  const first = state.first.get(dialogueId);
  if (first === undefined) {
    state.first.set(dialogueId, mark);
    state.marks.add(mark);
  } else if (!state.compared.has(dialogueId)) {
    state.compared.add(dialogueId);
    state.differences.add(Math.abs(mark - first));
  }
}

function summaryOf({ marks, differences, compared }: CriterionState): CriterionSummary {
  return { n: marks.count, mean: marks.mean, disagreement: differences.mean, judgedTwice: compared.size };
}
