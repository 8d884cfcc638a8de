// Owns the guard-rails of user turns: what a question may not look like if it is to pass for a person's.
// A pure function of the question, what was asked before, and the settings; the loop draws again, or gives up.
import type { Guardrails } from "./simulators/simulator.ts";

/** Why a question was refused. */
export type GuardrailRejection =
  | "empty"
  | "reasoning_leak"
  | "first_word"
  | "too_short"
  | "too_long"
  | "repeat"
  | "over_polite";

/** What holds where a request asks for guard-rails without saying more. */
export const defaultGuardrails: Guardrails = {
  bannedFirstWords: [],
  minWords: null,
  maxWords: null,
  hasRepeatCheck: true,
  hasLeakCheck: true,
  hasEmptyCheck: true,
  hasPolitenessCheck: false,
  redraws: 5,
};

/** Thinking aloud, control tokens, role labels, or an assistant that speaks of itself. */
const leaks: readonly RegExp[] = [
  /<\/?(?:think|thinking|thought|reasoning|analysis|scratchpad)\b/i,
  /<\|[a-z_ ]*\|>|\[\/?INST\]|<\/?s>/i,
  /\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b/i,
  /\bi(?:'|’)?\s*a?m an? (?:ai|artificial intelligence|(?:large )?language model)\b/i,
  /^\s*(?:#+\s*|\*\*|\[)?(?:user|human|assistant|ai|system|gpt)(?:\*\*|\])?\s*:/im,
  /^\s*\[(?:human|ai|user|assistant)\]/im,
  /^\s*(?:okay|ok|alright),? (?:so )?the user\b/i,
  /\bthe user(?:'s| is| wants| asked| just| might| would)\b.*\b(?:i should|i need to|let me|my (?:reply|response))\b/is,
];

/** Courtesy, of which nothing may be left over. Longer ones first: what is struck out is not looked at again. */
const courtesies: readonly RegExp[] = [
  /\bthank(?:s| you)(?: (?:so|very) much| a (?:lot|bunch|million)| again)?(?: for (?:(?:all|everything)\b|(?:(?:your|the|all|sharing|providing|explaining|being|taking)\b[^.!?]*)))?/gi,
  /\bi (?:really |truly |greatly )?appreciate\b[^.!?]*/gi,
  /\b(?:that|this|it)(?:'|’)?(?:s| is| was| sounds) (?:so |very |really |incredibly )?(?:great|helpful|perfect|wonderful|amazing|good|awesome|excellent|useful|informative|fascinating|interesting)\b[^.!?]*/gi,
  /\b(?:you(?:'|’)?re|you are) (?:so |very |most )?(?:welcome|kind|helpful)\b/gi,
  /\bhave a (?:great|nice|good|lovely|wonderful) (?:day|one|evening|weekend|time)\b/gi,
  /\b(?:good)?bye\b|\btake care\b|\bno (?:more|further) questions\b/gi,
  /\b(?:great|perfect|wonderful|awesome|excellent|ok(?:ay)?|yes|wow|nice|cool|sure)\b/gi,
];

/** Fewer words than this beside courtesy are nothing to answer. */
const leastSubstanceWords = 3;

/** Why the question may not stand; null when it may. `earlier` holds what it may not repeat: questions before it, and the intent. */
export function objectionOf(
  question: string,
  guardrails: Guardrails,
  earlier: readonly string[],
): GuardrailRejection | null {
  const words = wordsOf(question);
  if (words.length === 0) return guardrails.hasEmptyCheck ? "empty" : null;
  if (guardrails.hasLeakCheck && leaks.some((leak) => leak.test(question))) return "reasoning_leak";
  if (guardrails.bannedFirstWords.includes(firstWord(words))) return "first_word";
  if (guardrails.minWords !== null && words.length < guardrails.minWords) return "too_short";
  if (guardrails.maxWords !== null && words.length > guardrails.maxWords) return "too_long";
  const own = normal(question);
  if (guardrails.hasRepeatCheck && earlier.some((text) => normal(text) === own)) return "repeat";
  return guardrails.hasPolitenessCheck && isCourtesyAlone(question) ? "over_polite" : null;
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}\p{S}]/u.test(word));
}

/** `I'm`, `You,` and `"Here` begin with I, You and Here. */
function firstWord(words: readonly string[]): string {
  return /[\p{L}\p{N}]+/u.exec(words[0] ?? "")?.[0] ?? "";
}

function normal(text: string): string {
  return text.normalize("NFC").trim().replaceAll(/\s+/g, " ").toLowerCase();
}

function isCourtesyAlone(text: string): boolean {
  if (text.includes("?")) return false;
  const rest = courtesies.reduce((left, courtesy) => left.replaceAll(courtesy, " "), text);
  return rest !== text && wordsOf(rest).length < leastSubstanceWords;
}
