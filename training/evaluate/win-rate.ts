// Owns what is counted from pairwise judgments: wins, ties, losses, and the adjusted win rate.
// It does not know how verdicts come about.
import type { Winner } from "./judgment-file.ts";

/** What of a judgment is counted: who won in either order of the answers. */
export interface PairOutcome {
  readonly g1_winner: Winner;
  readonly g2_winner: Winner;
}

export interface PairTally {
  readonly win: number;
  readonly tie: number;
  readonly loss: number;
  /** Could not be read in one order or both; in no rate. */
  readonly dropped: number;
  /** null where there is nothing to count. */
  readonly adjustedWinRate: number | null;
}

/** From the first model's side: a win or a loss only where both orders agree, a tie otherwise. */
export function tallyPairs(outcomes: readonly PairOutcome[]): PairTally {
  let win = 0;
  let tie = 0;
  let loss = 0;
  let dropped = 0;
  for (const { g1_winner: one, g2_winner: two } of outcomes) {
    if (one === "error" || two === "error") dropped += 1;
    else if (one === two && one === "model_1") win += 1;
    else if (one === two && one === "model_2") loss += 1;
    else tie += 1;
  }
  return { win, tie, loss, dropped, adjustedWinRate: adjustedWinRate({ win, tie, loss }) };
}

/** Ties are half a win: (win + tie / 2) / (win + tie + loss). */
export function adjustedWinRate({ win, tie, loss }: Pick<PairTally, "win" | "tie" | "loss">): number | null {
  const all = win + tie + loss;
  return all === 0 ? null : (win + tie / 2) / all;
}
