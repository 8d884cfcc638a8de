// Owns reading what judges say, who seldom say it quite as asked: fences, missing quotes, a sentence before the verdict.
// It never guesses: what cannot be read for certain is null, and the judge is asked again.
import type { Criterion } from "./prompts.ts";

export type Scores = Readonly<Partial<Record<Criterion, number>>>;

/** The marks, each a whole number from 1 to 10; null when one is missing, out of bounds, or given twice with different values. */
export function parseScores(reply: string, names: readonly Criterion[]): Scores | null {
  const scores: Partial<Record<Criterion, number>> = {};
  for (const name of names) {
    // `"Complexity": 8`, `complexity = 8/10`, `**Complexity**: 8`
    const pattern = new RegExp(
      `\\b${name}\\b["'*_\`\\s]*[:=\\-–]?[\\s"'*_\`]*(-?\\d+(?:\\.\\d+)?)(?![\\d.]*\\s*-\\s*10)`,
      "gi",
    );
    const values = new Set(Array.from(reply.matchAll(pattern), ([, value]) => Number(value)));
    const [value] = values;
    if (value === undefined || values.size > 1 || !Number.isInteger(value) || value < 1 || value > 10) return null;
    scores[name] = value;
  }
  return scores;
}

/** Index, from 0, of the answer picked from `count`; null when none, or more than one, is named. */
export function parsePick(reply: string, count: number): number | null {
  const marked = numbersOf(reply, /\[\[\s*(\d+)\s*\]\]/g);
  const found = marked.length > 0 ? marked : numbersOf(reply, /\[\s*(\d+)\s*\]/g);
  const numbers = found.length > 0 ? found : numbersOf(withoutThoughts(reply), /(?<![\d.])(\d+)(?![\d.]*\d)/g);
  const [number] = numbers;
  if (number === undefined || new Set(numbers).size > 1 || number < 1 || number > count) return null;
  return number - 1;
}

/** Whether to go on; null when neither or both are named. */
export function parseVerdict(reply: string): "stop" | "continue" | null {
  const marked = Array.from(reply.matchAll(/\[\[?\s*(stop|continue)\s*\]?\]/gi), ([, word]) => word);
  const words =
    marked.length > 0
      ? marked
      : Array.from(withoutThoughts(reply).matchAll(/\b(stop|continue)\b/gi), ([, word]) => word);
  const verdicts = new Set(words.map((word) => word?.toLowerCase()));
  if (verdicts.size !== 1) return null;
  return verdicts.has("stop") ? "stop" : "continue";
}

function numbersOf(text: string, pattern: RegExp): readonly number[] {
  return Array.from(text.matchAll(pattern), ([, digits]) => Number(digits));
}

function withoutThoughts(text: string): string {
  return text.replaceAll(/<think>.*?(?:<\/think>|$)/gis, "");
}
