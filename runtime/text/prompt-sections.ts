// Owns cutting a prompt into what is encoded apart: control tokens, given ids, and the text between them.
// It does not encode. Where the cuts are decides the ids, so every caller of the tokenizer goes through here.
import { type AddedToken, type AddedTokenSplitter, swallowSpace } from "./added-tokens.ts";

/** A stretch of a prompt. Neighbouring stretches are encoded as one text, as if they had never been apart. */
export type PromptPiece =
  /** Text in which the strings of control tokens are those tokens. */
  | { readonly type: "markup"; readonly text: string }
  /** Text in which they are only text. */
  | { readonly type: "plain"; readonly text: string }
  /** Of `ids` the first `decodedTokens` (all, unless said) were computed one at a time when the model sampled them. */
  | { readonly type: "ids"; readonly ids: readonly number[]; readonly decodedTokens?: number };

/** Text, a control token, or ids that are already known. */
export type Section = string | AddedToken | KnownIds;

interface KnownIds {
  readonly ids: readonly number[];
  readonly decodedTokens: number;
}

/** How a text begins: where the prompt does, after a token, or in the middle of other text. */
export type Beginning = "prompt" | "section" | "continuation";

/** Finds the control tokens in markup and joins all other text that touches. */
export function joinPieces(pieces: readonly PromptPiece[], splitMarkup: AddedTokenSplitter): Section[] {
  const sections: Section[] = [];
  for (const piece of pieces) {
    if (piece.type === "ids") {
      const { ids, decodedTokens = ids.length } = piece;
      if (ids.length > 0) sections.push({ ids, decodedTokens });
      continue;
    }
    const text = piece.text.toWellFormed();
    for (const part of piece.type === "markup" ? splitMarkup(text) : [text]) {
      const last = sections.at(-1);
      if (typeof part === "string" && typeof last === "string") sections[sections.length - 1] = last + part;
      else sections.push(part);
    }
  }
  return swallowSpace<AddedToken | KnownIds>(sections);
}

/** How the section at `index` begins. */
export function beginningAt(sections: readonly Section[], index: number): Beginning {
  const before = sections[index - 1];
  if (before === undefined) return "prompt";
  return typeof before === "object" && "ids" in before ? "continuation" : "section";
}

/** Fewest tokens that a section can become, when one token covers at most `maxUnits` of text. */
export function leastTokens(section: Section, maxUnits: number): number {
  if (typeof section === "string") return Math.ceil(section.length / maxUnits);
  return "ids" in section ? section.ids.length : 1;
}
