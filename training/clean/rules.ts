// Owns which cleaning rules there are, their names and their order, and the presets. What a rule does is its own file's.
import type { Conversation } from "../conversation.ts";
import { exactDuplicates, nearDuplicates } from "./duplicates.ts";
import { htmlToMarkdown } from "./html-to-markdown.ts";
import { isTranslation, languageByCharacters, languageByStatistics } from "./language.ts";
import type { Clean } from "./rule.ts";
import { emptyMessage, lineEnds, mentions, oneUtterance, rateLimit, repeatedSpeaker } from "./text-rules.ts";

/** In the order in which they run: the first ones on sessions, the last ones on what splitting made of them. */
const SESSION_RULES = [
  "line-ends",
  "one-utterance",
  "mentions",
  "html-to-markdown",
  "rate-limit",
  "empty-message",
  "repeated-speaker",
  "language-characters",
  "language-statistical",
] as const;
const SEGMENT_RULES = ["one-utterance-segment", "exact-duplicates", "near-duplicates"] as const;
/** Not a rule of its own: it excepts conversations from both language rules. */
const EXEMPTIONS = ["translation-exemption"] as const;
export const RULE_NAMES = [...SESSION_RULES, ...SEGMENT_RULES, ...EXEMPTIONS] as const;

export type RuleName = (typeof RULE_NAMES)[number];

/** The paper's rules, and those of ours without which a trainer would refuse rows. */
export const PAPER_RULES: ReadonlySet<RuleName> = new Set(
  RULE_NAMES.filter((name) => name !== "language-statistical" && name !== "near-duplicates"),
);

export interface CleanRule {
  readonly name: RuleName;
  readonly clean: Clean;
  /** Conversations that the rule does not look at; they are counted. */
  readonly isExempt: ((conversation: Conversation) => boolean) | null;
}

export interface CleanRules {
  readonly session: readonly CleanRule[];
  readonly segment: readonly CleanRule[];
}

/** Rules with nothing remembered yet. `language` is a code of ISO 639-3, for the statistical rule. */
export function createRules(names: ReadonlySet<RuleName>, language: string): CleanRules {
  const isExempt = names.has("translation-exemption") ? isTranslation : null;
  const cleans: Readonly<Record<(typeof SESSION_RULES)[number] | (typeof SEGMENT_RULES)[number], Clean>> = {
    "line-ends": lineEnds,
    "one-utterance": oneUtterance,
    mentions,
    "html-to-markdown": htmlToMarkdown,
    "rate-limit": rateLimit,
    "empty-message": emptyMessage,
    "repeated-speaker": repeatedSpeaker,
    "language-characters": languageByCharacters,
    "language-statistical": languageByStatistics(language),
    "one-utterance-segment": oneUtterance,
    "exact-duplicates": exactDuplicates(),
    "near-duplicates": nearDuplicates(),
  };
  const toRule = (name: keyof typeof cleans): CleanRule => ({
    name,
    clean: cleans[name],
    isExempt: name.startsWith("language-") ? isExempt : null,
  });
  return {
    session: SESSION_RULES.filter((name) => names.has(name)).map(toRule),
    segment: SEGMENT_RULES.filter((name) => names.has(name)).map(toRule),
  };
}
