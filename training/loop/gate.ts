// Owns whether a trained model takes its parent's place: rules with names, each with a sentence that says what it saw.
// Pure: it knows figures, neither models nor files.
import type { HeldOutComparison } from "../evaluate/compare-held-out.ts";

/**
 * `not-worse`: with 95 % certainty no worse than the parent by more than the margin. `better`: with 95 % certainty better.
 * `any`: held-out figures are told and decide nothing.
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
}

interface GateCheck {
  readonly rule: "model" | "pairs" | "held-out";
  readonly isPassed: boolean;
  readonly sentence: string;
}

export interface Verdict {
  readonly isAccepted: boolean;
  /** Later ones are left out where an earlier one makes them meaningless. */
  readonly checks: readonly GateCheck[];
}

/** The candidate is accepted when every check is passed. */
export function judgeCandidate({ failure, comparison }: GateFigures, options: GateOptions): Verdict {
  if (failure !== null || comparison === null) {
    const sentence = failure ?? "nothing was compared";
    return { isAccepted: false, checks: [{ rule: "model", isPassed: false, sentence }] };
  }
  const checks: GateCheck[] = [pairsCheck(comparison, options)];
  if (comparison.difference !== null) checks.push(heldOutCheck(comparison.difference, options));
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
