// Owns reading a judge's reply: the number of a rating, the letter of a comparison.
// What cannot be read is said to be so; nothing is guessed.

/** Stands for a rating that could not be read; it is in no mean. */
export const unreadable = -1;

/** The first `[[n]]`, or where there is none the first `[n]`; `unreadable` without either, or outside 1 to 10. */
export function parseRating(reply: string): number {
  const found = /\[\[(\d+\.?\d*)\]\]/.exec(reply) ?? /\[(\d+\.?\d*)\]/.exec(reply);
  const rating = Number(found?.[1] ?? Number.NaN);
  return rating >= 1 && rating <= 10 ? rating : unreadable;
}

export type Verdict = "A" | "B" | "tie" | "error";

/** `error` where no verdict is marked, or more than one. */
export function parseVerdict(reply: string): Verdict {
  const letters = new Set(Array.from(reply.matchAll(/\[\[([ABC])\]\]/g), ([, letter]) => letter));
  const [letter] = letters;
  if (letters.size !== 1 || letter === undefined) return "error";
  return letter === "C" ? "tie" : (letter as "A" | "B");
}
