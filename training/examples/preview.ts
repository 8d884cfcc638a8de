// Owns how one example looks in the terminal: what is trained stands out, control tokens can be seen, ids on request.
// It makes no example and knows no terminal but a function that colours.
import { decodeText } from "../../runtime/text/text-stream.ts";
import type { Tokenizer } from "../../runtime/text/tokenizer.ts";
import { type Example, ignoredLabel } from "./example.ts";

export type Style = "trained" | "context" | "control" | "trainedControl";

/** Colours a text; null where there are no colours, and brackets stand around what is trained. */
export type Paint = ((style: Style, text: string) => string) | null;

interface Run {
  readonly isTrained: boolean;
  readonly isControl: boolean;
  readonly ids: number[];
}

/** The example as text. */
export function renderExample(
  example: Example,
  tokenizer: Pick<Tokenizer, "bytesOf" | "controlIds" | "droppedLeadingSpaces" | "tokenOf">,
  paint: Paint,
  withIds: boolean,
): string {
  const runs = runsOf(example, tokenizer.controlIds);
  const ends = new Set(example.spans.map(({ end }) => example.inputIds[end - 1]));
  // Only the beginning of a sequence has a space that encoding invented.
  const bytes = {
    bytesOf: (id: number) => tokenizer.bytesOf(id),
    controlIds: new Set<number>(),
    droppedLeadingSpaces: 0,
  };
  let text = "";
  let wasTrained = false;
  let isBehindEnd = false;
  for (const { isTrained, isControl, ids } of runs) {
    if (paint === null && isTrained !== wasTrained) text += isTrained ? "[[" : "]]";
    if (isBehindEnd) text += "\n";
    wasTrained = isTrained;
    const words = isControl ? ids.map((id) => tokenizer.tokenOf(id) ?? "").join("") : decodeText(bytes, ids);
    const shown = withIds ? `${words}{${ids.join(" ")}}` : words;
    text += paint === null ? visible(shown) : paint(styleOf(isTrained, isControl), visible(shown));
    // A new line behind every end of a turn, so that turns can be told apart.
    isBehindEnd = isControl && ends.has(ids[0] ?? -1);
  }
  if (paint === null && wasTrained) text += "]]";
  return text;
}

function runsOf({ inputIds, labels }: Example, controlIds: ReadonlySet<number>): readonly Run[] {
  const runs: Run[] = [];
  for (const [index, id] of inputIds.entries()) {
    const isTrained = labels[index] !== ignoredLabel;
    const isControl = controlIds.has(id);
    const last = runs.at(-1);
    if (last !== undefined && last.isTrained === isTrained && !last.isControl && !isControl) last.ids.push(id);
    else runs.push({ isTrained, isControl, ids: [id] });
  }
  return runs;
}

function styleOf(isTrained: boolean, isControl: boolean): Style {
  if (isControl) return isTrained ? "trainedControl" : "control";
  return isTrained ? "trained" : "context";
}

/** What could move the cursor or change colours is shown by its picture; line ends stay. */
function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f]/g, (unit) => String.fromCharCode(0x2400 + unit.charCodeAt(0)));
}
