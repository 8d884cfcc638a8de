// Owns whether a trained model takes its parent's place: rules with names, each with a sentence that says what it saw.
// Pure: it knows figures, neither models nor files.
import type { HeldOutComparison } from "../evaluate/compare-held-out.ts";
import type { PairTally } from "../evaluate/win-rate.ts";

/**
 * `not-worse`: with 95 % certainty no worse than the parent by more than the margin. `better`: with 95 % certainty better.
 * `any`: figures are told and decide nothing. Under the first two a judge, where there is one, must not prefer the parent with 95 %
 * certainty.
 */
export const GATE_RULES = ["not-worse", "better", "any"] as const;

export interface GateOptions {
  readonly rule: (typeof GATE_RULES)[number];
  /** Bits a byte by which a model may be worse. */
  readonly margin: number;
  /** Held-out dialogues of which both models must have scored the same turns. */
  readonly leastPairs: number;
}

/** What is known of a candidate. */
export interface GateFigures {
  /** Why there is no model to judge, as a sentence; null when there is one. */
  readonly failure: string | null;
  /** Of all held-out files together; `difference` is the parent's bits a byte minus the candidate's. Null without a model. */
  readonly comparison: HeldOutComparison | null;
  /** What a judge made of its answers beside the parent's; null where none was asked. */
  readonly judged?: { readonly judge: string; readonly tally: PairTally } | null;
}

interface GateCheck {
  readonly rule: "model" | "pairs" | "held-out" | "judge";
  readonly isPassed: boolean;
  readonly sentence: string;
}

export interface Verdict {
  readonly isAccepted: boolean;
  /** Later ones are left out where an earlier one makes them meaningless. */
  readonly checks: readonly GateCheck[];
}

/** The candidate is accepted when every check is passed. */
export function judgeCandidate({ failure, comparison, judged = null }: GateFigures, options: GateOptions): Verdict {
  if (failure !== null || comparison === null) {
    const sentence = failure ?? "nothing was compared";
    return { isAccepted: false, checks: [{ rule: "model", isPassed: false, sentence }] };
  }
  const checks: GateCheck[] = [pairsCheck(comparison, options)];
  if (comparison.difference !== null) checks.push(heldOutCheck(comparison.difference, options));
  if (judged !== null) checks.push(judgeCheck(judged, options));
  // Without a difference there was no pair, and the first check is not passed unless none was wanted.
  const isAccepted =
    checks.every(({ isPassed }) => isPassed) && (comparison.difference !== null || options.rule === "any");
  return { isAccepted, checks };
}

function pairsCheck({ dialogues }: HeldOutComparison, { rule, leastPairs }: GateOptions): GateCheck {
  const least = rule === "any" ? 0 : leastPairs;
  const sentence = `both models scored ${dialogues} held-out dialogues, and at least ${least} are wanted`;
  return { rule: "pairs", isPassed: dialogues >= least, sentence };
}

function heldOutCheck(
  { value, low, high }: NonNullable<HeldOutComparison["difference"]>,
  { rule, margin }: GateOptions,
): GateCheck {
  const direction = value >= 0 ? "better" : "worse";
  const figures =
    `${Math.abs(value).toFixed(4)} bits a byte ${direction} than the parent ` +
    `(gain with 95 % certainty between ${low.toFixed(4)} and ${high.toFixed(4)})`;
  const wanted = {
    "not-worse": `the gain must not be below ${(-margin).toFixed(4)}`,
    better: "the gain must be above 0",
    any: "which decides nothing under --gate any",
  }[rule];
  const isPassed = rule === "any" || (rule === "better" ? low > 0 : low >= -margin);
  return { rule: "held-out", isPassed, sentence: `${figures}; ${wanted}` };
}

function judgeCheck(
  { judge, tally: { win, tie, loss, dropped, adjustedWinRate: rate } }: NonNullable<GateFigures["judged"]>,
  { rule }: GateOptions,
): GateCheck {
  const told = `${judge} preferred it ${win} times and its parent ${loss} times, with ${tie} ties and ${dropped} replies that cannot be read`;
  const wanted =
    rule === "any" ? "which decides nothing under --gate any" : "its parent must not be preferred with certainty";
  if (rate === null) return { rule: "judge", isPassed: rule === "any", sentence: `${told}; ${wanted}` };
  const count = win + tie + loss;
  // Of the mean of ones, halves and zeros.
  const spread = (win * (1 - rate) ** 2 + tie * (0.5 - rate) ** 2 + loss * rate ** 2) / count;
  const half = 1.96 * Math.sqrt(spread / count);
  const [low, high] = [Math.max(0, rate - half), Math.min(1, rate + half)];
  const figures = `adjusted win rate ${rate.toFixed(3)} (with 95 % certainty between ${low.toFixed(3)} and ${high.toFixed(3)})`;
  return { rule: "judge", isPassed: rule === "any" || high >= 0.5, sentence: `${told}: ${figures}; ${wanted}` };
}
