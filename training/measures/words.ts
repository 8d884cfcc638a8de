// Owns the ways a text becomes words here: LexicalRichness's for MTLD, and a plainer one for comparing texts.
// It does not know what is measured with them.

/** What Python's `str.split()` splits at; JavaScript's `\s` lacks the separators 1C–1F and 85 and has FEFF besides. */
const pythonSpaces = new RegExp(
  `[\\t-\\r${String.fromCharCode(0x1c, 0x1d, 0x1e, 0x1f)} \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+`,
);

/** Words as LexicalRichness 0.5.1 makes them: digits and dashes vanish, ASCII punctuation separates, curly quotes stay. */
export function richnessWords(text: string): string[] {
  return text
    .toLowerCase()
    .replaceAll(/[0-9–—-]+/g, "")
    .replaceAll(/[!-/:-@[-`{-~]/g, " ")
    .split(pythonSpaces)
    .filter((word) => word !== "");
}

/** One form for texts that differ only in case, compatibility characters and white space. */
export function normaliseText(text: string): string {
  return text.normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " ").trim();
}

/** Runs of letters, marks and digits of the normalised text, apostrophes inside a word kept. */
export function plainWords(text: string): string[] {
  return normalisedWords(normaliseText(text));
}

/** The same of a text that is normalised already. */
export function normalisedWords(text: string): string[] {
  return text.replaceAll("’", "'").match(/[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}\p{N}]+)*/gu) ?? [];
}

/** From so many units on, V8 cuts a word out of a text without copying it. */
const SLICE_UNITS = 13;

/** The same text, for keeping: a word that was cut out of a longer text would hold all of that text in memory. */
export function ownCopy(text: string): string {
  return text.length < SLICE_UNITS ? text : Buffer.from(text, "utf16le").toString("utf16le");
}
