// Owns what a reader has to know of an export whose roles are swapped, and the template that serves what comes of it.
import type { ExportRecord } from "./format.ts";
import { swapTemplate } from "./jinja.ts";
import { opener } from "./turns.ts";

/** For the user's side only: an assistant's roles are as they were. */
export function swapNote({ role }: ExportRecord): readonly string[] {
  if (role === "assistant") return [];
  return [
    "",
    "Roles are swapped: what the user said is the `assistant`'s here, because this trainer trains no other role. Where the user",
    `spoke first, the constant opener \`${opener}\` stands before it as the \`user\`'s message. Serving must do the same. Put`,
    "`swap-roles.jinja` in front of the trained model's chat template: it swaps, says the opener, and opens the user's turn.",
  ];
}

/** The files of an export, with that template where it is needed. */
export function withSwapTemplate(
  { role }: ExportRecord,
  files: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return role === "assistant" ? files : { ...files, "swap-roles.jinja": swapTemplate };
}
