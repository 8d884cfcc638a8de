// Prints the table of export formats from the formats themselves.
import { formats } from "../../training/exports/formats.ts";
import { code, markdownTable } from "./markdown.ts";

const sides = {
  mask: "mask by role",
  swap: "roles swapped, with the opener",
  ids: "ids and labels",
} as const;

const yesOrNo = (value: boolean) => (value ? "yes" : "no");

/** A line a format. */
export function exportFormatsTable(): string {
  return markdownTable(
    [
      "`--to`",
      "who reads it",
      "the user's side is said by",
      "needs `--model`",
      "can keep a single turn out of the loss",
    ],
    formats.map(({ name, trainer, userSide, needsModel, masksContext }) => [
      code(name),
      trainer,
      sides[userSide],
      yesOrNo(needsModel),
      yesOrNo(masksContext),
    ]),
  );
}
