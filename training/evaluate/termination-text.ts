// Owns how the figures of ending dialogues look in a terminal. It computes nothing.
import type { TerminationFigures } from "./termination.ts";
import { textTable } from "./text-table.ts";

export interface TerminationLine extends TerminationFigures {
  /** null: all files together. */
  readonly file: string | null;
  /** Rows that could not be read. */
  readonly broken: number;
}

export function terminationText(model: string, lines: readonly TerminationLine[]): string {
  const places = textTable(
    ["file", "dialogues", "places", "people end", "model ends", "both", "precision", "recall", "F1", "95 %", "always"],
    lines.map((line) => [
      line.file ?? "all",
      line.dialogues,
      line.places,
      line.humanEnds,
      line.modelEnds,
      line.sharedEnds,
      line.precision,
      line.recall,
      line.f1?.value ?? null,
      line.f1 === null ? null : `${line.f1.low.toFixed(4)} to ${line.f1.high.toFixed(4)}`,
      line.f1OfAlwaysEnding,
    ]),
    4,
  );
  const dialogues = textTable(
    ["file", "ends early", "ends there", "never ends"],
    lines.map(({ file, firstEnd }) => [file ?? "all", firstEnd.early, firstEnd.right, firstEnd.never]),
  );
  return `Where ${model} ends dialogues; "always" is F1 of ending at every place\n\n${places}\n\nDialogues whose end is known, by where it ends them first\n\n${dialogues}`;
}
