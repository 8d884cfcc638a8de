// Owns what the human-likeness classifier sees of a question: hashed characters 2- to 5-grams and a few habits of style.
// A model is only good for the features it was fitted on: any change here needs a new name.
import { eachCharGram } from "./hashing.ts";

export const FEATURES = "char-2-5+style/1";
export const GRAM_DIMENSIONS = 16_384;
const MAX_LENGTH = 2048;

const politeness = /\b(?:please|thanks?|thank you|appreciate|grateful|kindly|certainly|absolutely|great|wonderful)\b/i;

/** Each between 0 and 1. Their order is part of the contract. */
const styles: readonly (readonly [name: string, of: (text: string) => number])[] = [
  ["length", (text) => Math.min(1, Math.log1p(text.length) / 8)],
  ["capital first", (text) => flag(/^\W*\p{Lu}/u.test(text))],
  ["end mark", (text) => flag(/[.!?]["')\]]?\s*$/.test(text))],
  ["question mark", (text) => flag(text.includes("?"))],
  ["exclamation mark", (text) => flag(text.includes("!"))],
  ["lower-case i", (text) => flag(/(?:^|\s)i(?:\s|'|$)/.test(text))],
  ["contraction", (text) => flag(/\w['’](?:s|t|re|ve|ll|d|m)\b/i.test(text))],
  ["politeness", (text) => flag(politeness.test(text))],
  ["markdown", (text) => flag(/\*\*|```|^#+\s|\[[^\]]+\]\(/m.test(text))],
  ["list", (text) => flag(/^\s*(?:[-*•]|\d+[.)])\s/m.test(text))],
  ["as an AI", (text) => flag(/\bas an? (?:ai|artificial|language model)\b/i.test(text))],
  ["more than a line", (text) => flag(/\n/.test(text.trim()))],
  ["upper-case share", (text) => text.replaceAll(/\P{Lu}/gu, "").length / Math.max(1, text.length)],
  ["digit share", (text) => text.replaceAll(/\D/g, "").length / Math.max(1, text.length)],
  ["double blank or mark", (text) => flag(/[?!.]{2}| {2}|,\S/.test(text))],
];

export const styleNames: readonly string[] = styles.map(([name]) => name);

export interface HumanFeatures {
  /** Distinct dimensions, each with the value 1/√(their number): the grams' part of the vector has length 1. */
  readonly grams: Int32Array;
  readonly gramValue: number;
  readonly styles: Float64Array;
}

export function humanFeatures(text: string): HumanFeatures {
  const dimensions = new Set<number>();
  eachCharGram(`\n${text.slice(0, MAX_LENGTH).trim()}\n`, 2, 5, (hash) => dimensions.add(hash % GRAM_DIMENSIONS));
  return {
    grams: Int32Array.from(dimensions),
    gramValue: 1 / Math.sqrt(Math.max(1, dimensions.size)),
    styles: Float64Array.from(styles, ([, of]) => of(text)),
  };
}

function flag(isSet: boolean): number {
  return isSet ? 1 : 0;
}
