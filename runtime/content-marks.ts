// Owns marking what people typed, so that it can be told from a template's own text after rendering.
// Marks stand only where typed text could be taken for a control token, or where known ids take its place; a template
// therefore sees contents as they are, and may trim or transform them. It knows neither templates nor tokenizers.
import type { PromptPiece } from "./prompt-sections.ts";

export interface ContentMarks {
  /** The content with every string that is, or could complete, a control token marked as plain text. */
  protect(content: string): string;
  /** A stand-in for a content whose ids are known. */
  standIn(index: number): string;
  /** Cuts a rendering at its marks. `idsOf` gives the ids that take the place of a stand-in. */
  toPieces(rendering: string, idsOf: (index: number) => readonly number[]): PromptPiece[];
  /** Which stand-ins came back, in order; one that comes twice is there twice. */
  standInsOf(rendering: string): number[];
}

/** Chooses characters that none of `texts` holds as marks. */
export function createContentMarks(controlTokens: readonly string[], texts: readonly string[]): ContentMarks {
  const [open, close, known] = chooseMarks(texts);
  const controls = controlTokens.filter((token) => token !== "").toSorted((a, b) => b.length - a.length);
  const whole = controls.length === 0 ? null : new RegExp(controls.map((token) => RegExp.escape(token)).join("|"), "g");
  const marks = new RegExp(`${open}([^${open}${close}]*)${close}|${known}(\\d+)${known}`, "g");
  const stray = new RegExp(`[${open}${close}${known}]`, "g");
  const border = open + close;

  return {
    protect(content) {
      if (whole === null) return content;
      const inner = content.trim();
      // What typed text begins, the template's own next character could complete, and the other way round.
      const before = controls.some((token) => couldEndIn(token, inner)) ? border : "";
      const after = controls.some((token) => couldBeginIn(token, inner)) ? border : "";
      const at = content.indexOf(inner);
      const marked = inner.replace(whole, (token) => open + token + close);
      return content.slice(0, at) + before + marked + after + content.slice(at + inner.length);
    },
    standIn: (index) => known + String(index) + known,
    toPieces(rendering, idsOf) {
      const pieces: PromptPiece[] = [];
      let from = 0;
      const addMarkup = (to: number) => {
        const text = rendering.slice(from, to).replace(stray, "");
        if (text !== "") pieces.push({ type: "markup", text });
      };
      for (const match of rendering.matchAll(marks)) {
        addMarkup(match.index);
        const [all, plain, index] = match;
        pieces.push(plain === undefined ? { type: "ids", ids: idsOf(Number(index)) } : { type: "plain", text: plain });
        from = match.index + all.length;
      }
      addMarkup(rendering.length);
      return pieces;
    },
    standInsOf: (rendering) =>
      [...rendering.matchAll(marks)].flatMap(([, , index]) => (index === undefined ? [] : [Number(index)])),
  };
}

/** Whether the end of a control token could be the beginning of `text`, its own beginning coming from elsewhere. */
function couldEndIn(token: string, text: string): boolean {
  for (let from = 1; from < token.length; from++) {
    const end = token.slice(from);
    if (text !== "" && (text.startsWith(end) || end.startsWith(text))) return true;
  }
  return false;
}

/** Whether the beginning of a control token could be the end of `text`, its own end coming from elsewhere. */
function couldBeginIn(token: string, text: string): boolean {
  for (let to = 1; to < token.length; to++) {
    if (text.endsWith(token.slice(0, to))) return true;
  }
  return false;
}

// Noncharacters: Unicode keeps them for a program's own use, and they are no white space. Private use is the reserve.
const candidateRanges = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
] as const;

function chooseMarks(texts: readonly string[]): [string, string, string] {
  const free: string[] = [];
  for (const [first, last] of candidateRanges) {
    for (let code = first; code <= last && free.length < 3; code++) {
      const mark = String.fromCharCode(code);
      if (!texts.some((text) => text.includes(mark))) free.push(mark);
    }
  }
  const [open, close, known] = free;
  if (open === undefined || close === undefined || known === undefined) {
    throw new Error("no character is left that could mark contents.");
  }
  return [open, close, known];
}
