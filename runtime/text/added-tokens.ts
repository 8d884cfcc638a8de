// Owns finding added tokens in text: leftmost first, longest first, as tokenizer libraries do.
// It does not know the vocabulary's other tokens, nor which added tokens people may type.

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Swallows the white space before it. */
  readonly lstrip: boolean;
  /** Swallows the white space after it. */
  readonly rstrip: boolean;
  /** Counts only where no word goes on beside it. */
  readonly singleWord: boolean;
  /** Looked for in normalized text. */
  readonly normalized: boolean;
  /** Marks structure, not content: left out of decoded text. */
  readonly special: boolean;
}

/** Splits a text into stretches of plain text and the added tokens between them; nothing is lost. */
export type AddedTokenSplitter = (text: string) => (string | AddedToken)[];

/** Builds the splitter for some added tokens. */
export function createSplitter(tokens: readonly AddedToken[]): AddedTokenSplitter {
  const byFirstUnit = new Map<string, AddedToken[]>();
  for (const token of tokens.toSorted((a, b) => b.content.length - a.content.length)) {
    const first = token.content.charAt(0);
    if (first === "") continue;
    const sameFirst = byFirstUnit.get(first);
    if (sameFirst === undefined) byFirstUnit.set(first, [token]);
    else sameFirst.push(token);
  }
  const matchAt = (text: string, at: number) =>
    byFirstUnit
      .get(text.charAt(at))
      ?.find((token) => text.startsWith(token.content, at) && standsAlone(token, text, at));
  // Without the flag u: units are what is looked for. Most texts have none of them, and are through at once.
  const anyFirst = new RegExp(`[${[...byFirstUnit.keys()].map((unit) => RegExp.escape(unit)).join("")}]`, "g");
  const nextFirst = (text: string, from: number) => {
    anyFirst.lastIndex = from;
    return anyFirst.test(text) ? anyFirst.lastIndex - 1 : text.length;
  };

  return (text) => {
    const parts: (string | AddedToken)[] = [];
    let from = 0;
    let at = nextFirst(text, 0);
    while (at < text.length) {
      const token = matchAt(text, at);
      if (token === undefined) {
        at = nextFirst(text, at + 1);
        continue;
      }
      if (at > from) parts.push(text.slice(from, at));
      parts.push(token);
      from = at + token.content.length;
      at = nextFirst(text, from);
    }
    if (from < text.length) parts.push(text.slice(from));
    return parts;
  };
}

/** Lets every token with `lstrip` or `rstrip` swallow the white space of its neighbours. Anything else passes as it is. */
export function swallowSpace<Other extends object>(parts: readonly (string | Other)[]): (string | Other)[] {
  return parts
    .map((part, index) => {
      if (typeof part !== "string") return part;
      const before = parts[index - 1];
      const after = parts[index + 1];
      const trimmed = strips(before, "rstrip") ? part.trimStart() : part;
      return strips(after, "lstrip") ? trimmed.trimEnd() : trimmed;
    })
    .filter((part) => part !== "");
}

const strips = (part: unknown, side: "lstrip" | "rstrip") =>
  typeof part === "object" && part !== null && (part as Partial<AddedToken>)[side] === true;

const wordBefore = /[\p{L}\p{M}\p{N}_]$/u;
const wordAfter = /^[\p{L}\p{M}\p{N}_]/u;

function standsAlone(token: AddedToken, text: string, at: number): boolean {
  if (!token.singleWord) return true;
  const end = at + token.content.length;
  // Two units on either side hold a whole character.
  return !wordBefore.test(text.slice(Math.max(0, at - 2), at)) && !wordAfter.test(text.slice(end, end + 2));
}
