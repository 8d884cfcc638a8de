// Owns which dialogues of a round are good enough to be trained on: rules with names, in one order, and the funnel that counts what
// each of them took away. Pure: it knows neither files nor models.
import { DuplicateIndex } from "../measures/duplicates.ts";

/** What the rules look at. */
export interface PlayedDialogue {
  readonly id: string;
  readonly stopReason: string;
  /** A question and its answer are one. */
  readonly rounds: number;
  /** What was said, in order; system messages are not. */
  readonly contents: readonly string[];
}

export interface FilterOptions {
  /** Reasons to end after which a dialogue may be kept. */
  readonly stopReasons: readonly string[];
  readonly leastRounds: number;
  /** Of all turns together, in UTF-16 units. */
  readonly leastCharacters: number;
  /** null: no limit. */
  readonly mostCharacters: number | null;
  /** Rules that are left out. */
  readonly without: readonly FilterRule[];
}

/** In the order in which they look. */
export const FILTER_RULES = ["stop-reason", "rounds", "length", "exact-duplicate", "near-duplicate"] as const;

type FilterRule = (typeof FILTER_RULES)[number];

/** Ends after which whole rounds are left that are worth training on: nothing failed, and nobody broke it off. */
export const DEFAULT_STOP_REASONS = ["window", "max_turns", "end_token", "empty_turn", "judge"] as const;

/** What one rule was shown and what it let pass. */
export interface FunnelStep {
  readonly rule: FilterRule;
  readonly in: number;
  readonly out: number;
}

export interface Filtered {
  /** In the order in which they came. */
  readonly keptIds: readonly string[];
  readonly funnel: readonly FunnelStep[];
  /** Every other dialogue, with the rule that took it away. */
  readonly dropped: readonly { readonly id: string; readonly rule: FilterRule; readonly repeats?: string }[];
}

/** A dialogue goes past every rule in turn; the first that it breaks takes it away. Repeats are looked for among those kept so far. */
export function filterDialogues(dialogues: readonly PlayedDialogue[], options: FilterOptions): Filtered {
  const rules = FILTER_RULES.filter((rule) => !options.without.includes(rule));
  const counts = new Map(rules.map((rule) => [rule, { in: 0, out: 0 }]));
  const seen = new DuplicateIndex();
  const keptIds: string[] = [];
  const dropped: Filtered["dropped"][number][] = [];
  for (const dialogue of dialogues) {
    const broken = firstBroken(dialogue, rules, options, seen);
    for (const rule of rules) {
      const count = counts.get(rule);
      if (count === undefined) continue;
      count.in += 1;
      if (broken?.rule === rule) break;
      count.out += 1;
    }
    if (broken === null) keptIds.push(dialogue.id);
    else dropped.push({ id: dialogue.id, ...broken });
  }
  const funnel = rules.map((rule) => Object.assign({ rule }, counts.get(rule) ?? { in: 0, out: 0 }));
  return { keptIds, funnel, dropped };
}

function firstBroken(
  { id, stopReason, rounds, contents }: PlayedDialogue,
  rules: readonly FilterRule[],
  { stopReasons, leastRounds, leastCharacters, mostCharacters }: FilterOptions,
  seen: DuplicateIndex,
): { readonly rule: FilterRule; readonly repeats?: string } | null {
  const has = (rule: FilterRule) => rules.includes(rule);
  if (has("stop-reason") && !stopReasons.includes(stopReason)) return { rule: "stop-reason" };
  if (has("rounds") && rounds < leastRounds) return { rule: "rounds" };
  const characters = contents.reduce((sum, content) => sum + content.length, 0);
  const isTooLong = mostCharacters !== null && characters > mostCharacters;
  if (has("length") && (characters < leastCharacters || isTooLong)) return { rule: "length" };
  if (!has("exact-duplicate") && !has("near-duplicate")) return null;
  const match = seen.add(id, contents.join("\n"));
  if (match === null) return null;
  const rule = match.kind === "exact" ? "exact-duplicate" : "near-duplicate";
  // An exact copy is a near one as well.
  const struck = has(rule) ? rule : "near-duplicate";
  const isStruck = has(rule) || (match.kind === "exact" && has("near-duplicate"));
  return isStruck ? { rule: struck, repeats: match.id } : null;
}
