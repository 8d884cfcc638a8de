// Owns marking what people typed, so that it can be told from a template's own text after rendering.
// Marks stand only where typed text could be taken for a control token, or where known ids take its place; a template
// therefore sees contents as they are, and may trim or transform them. It knows neither templates nor tokenizers.
import type { PromptPiece } from "./prompt-sections.ts";

export interface ContentMarks {
  /** The content with every string that is, or could complete, a control token marked as plain text. */
  protect(content: string): string;
  /** A stand-in for a content whose ids are known. */
  standIn(index: number): string;
  /** Cuts a rendering at its marks. `knownIds` gives the piece that takes the place of a stand-in. */
  toPieces(rendering: string, knownIds: (index: number) => PromptPiece): PromptPiece[];
  /** Which stand-ins came back, in order; one that comes twice is there twice. */
  standInsOf(rendering: string): number[];
}

/** Prepares marking for some control tokens; the function it returns chooses marks that none of `texts` holds. */
export function createContentMarker(controlTokens: readonly string[]): (texts: readonly string[]) => ContentMarks {
  const controls = controlTokens.filter((token) => token !== "").toSorted((a, b) => b.length - a.length);
  const whole = controls.length === 0 ? null : new RegExp(controls.map((token) => RegExp.escape(token)).join("|"), "g");
  const neighbours = findNeighbours(controls);
  return (texts) => createMarks(whole, neighbours, chooseMarks(texts));
}

function createMarks(whole: RegExp | null, neighbours: Neighbours, [open, close, known]: Marks): ContentMarks {
  const marks = new RegExp(`${open}([^${open}${close}]*)${close}|${known}(\\d+)${known}`, "g");
  const stray = new RegExp(`[${open}${close}${known}]`, "g");
  const border = open + close;

  return {
    protect(content) {
      if (whole === null) return content;
      const inner = content.trim();
      const before = neighbours.couldCompleteBefore(inner) ? border : "";
      const after = neighbours.couldCompleteAfter(inner) ? border : "";
      const at = content.indexOf(inner);
      const marked = inner.replace(whole, (token) => open + token + close);
      return content.slice(0, at) + before + marked + after + content.slice(at + inner.length);
    },
    standIn: (index) => known + String(index) + known,
    toPieces(rendering, knownIds) {
      const pieces: PromptPiece[] = [];
      let from = 0;
      const addMarkup = (to: number) => {
        const text = rendering.slice(from, to).replace(stray, "");
        if (text !== "") pieces.push({ type: "markup", text });
      };
      for (const match of rendering.matchAll(marks)) {
        addMarkup(match.index);
        const [all, plain, index] = match;
        pieces.push(plain === undefined ? knownIds(Number(index)) : { type: "plain", text: plain });
        from = match.index + all.length;
      }
      addMarkup(rendering.length);
      return pieces;
    },
    standInsOf: (rendering) =>
      [...rendering.matchAll(marks)].flatMap(([, , index]) => (index === undefined ? [] : [Number(index)])),
  };
}

/** Whether typed text and the template's text beside it could make a control token together. */
interface Neighbours {
  couldCompleteBefore(text: string): boolean;
  couldCompleteAfter(text: string): boolean;
}

// Some models have hundreds of control tokens: their ends are looked up, not tried one by one.
function findNeighbours(controls: readonly string[]): Neighbours {
  const heads = new Set(controls.flatMap((token) => lengthsBelow(token).map((length) => token.slice(0, length))));
  const tails = new Set(controls.flatMap((token) => lengthsBelow(token).map((length) => token.slice(-length))));
  const longest = controls[0]?.length ?? 0;
  const someLength = (text: string, test: (length: number) => boolean) => {
    for (let length = 1; length <= Math.min(text.length, longest - 1); length++) if (test(length)) return true;
    return false;
  };
  return {
    couldCompleteBefore: (text) =>
      someLength(text, (length) => tails.has(text.slice(0, length))) ||
      (text !== "" && text.length < longest && controls.some((token) => token.indexOf(text, 1) > 0)),
    couldCompleteAfter: (text) => someLength(text, (length) => heads.has(text.slice(-length))),
  };
}

const lengthsBelow = (text: string) => Array.from({ length: text.length - 1 }, (_, index) => index + 1);

// Noncharacters: Unicode keeps them for a program's own use, and they are no white space. Private use is the reserve.
const candidateRanges = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
] as const;

type Marks = readonly [open: string, close: string, known: string];

function chooseMarks(texts: readonly string[]): Marks {
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
