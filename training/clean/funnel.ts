// Owns the count of what every step of preparing took in and gave on. It fills while conversations pass; it prints nothing.
import type { CleanRule, RuleName } from "./rules.ts";

interface Step {
  readonly rule: RuleName;
  /** What is counted in `in` and `out`. */
  readonly unit: "sessions" | "segments";
  in: number;
  out: number;
  changed: number;
  exempt: number;
  /** Of a step on segments: sessions with at least one segment left. */
  sessionsOut: number | null;
}

export class Funnel {
  /** Rows as they were read. */
  readonly rows = { read: 0, conversations: 0, broken: 0, dropped: {} as Record<string, number> };
  readonly steps: Step[] = [];
  /** null until something is split. */
  split: {
    sessionsIn: number;
    sessionsOut: number;
    segments: number;
    /** Turns of sessions that went on, in none of their segments: questions without an answer, and what fits in no window. */
    leftOutTurns: number;
    /** Segments that a window of that many tokens does not hold: a trainer would cut them. */
    overlongSegments: number;
    maxTokens: number;
    rule: string;
  } | null = null;
  readonly result = { sessions: 0, segments: 0, startWithUser: 0, startWithAssistant: 0, utterances: 0, heldOut: 0 };
  /** `limit` ended the reading before the sources did. */
  isLimited = false;

  /** The step of a rule, in the order in which rules run. */
  step(rule: CleanRule, unit: Step["unit"]): Step {
    const known = this.steps.find((step) => step.rule === rule.name);
    if (known !== undefined) return known;
    const sessionsOut = unit === "segments" ? 0 : null;
    const step = { rule: rule.name, unit, in: 0, out: 0, changed: 0, exempt: 0, sessionsOut };
    this.steps.push(step);
    return step;
  }

  toJson(): Readonly<Record<string, unknown>> {
    const { rows, steps, split, result, isLimited } = this;
    return structuredClone({ rows, steps, split, result, isLimited });
  }
}
