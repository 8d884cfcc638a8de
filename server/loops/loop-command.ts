// Owns which program works at a loop. It starts nothing.
import { fileURLToPath } from "node:url";
import type { WorkCommand } from "../work/work-process.ts";

/** How a loop is run: the real way, or a stand-in that speaks alike. */
export type LoopCommandOf = (
  flags: readonly string[],
  place: { readonly folder: string; readonly environment: NonNullable<WorkCommand["environment"]> },
) => WorkCommand;

const program = fileURLToPath(new URL("../../training/loop/work-cli.ts", import.meta.url));

export const loopCommand: LoopCommandOf = (flags, place) => ({
  program: process.execPath,
  args: [program, ...flags],
  ...place,
});
