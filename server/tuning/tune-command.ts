// Owns which program works at a part of a fine-tuning job. It starts nothing.
import { fileURLToPath } from "node:url";
import type { WorkCommand } from "../work/work-process.ts";

export type TuningPart = "prepare" | "train";

/** How a part of a job is run: the real way, or a stand-in that speaks alike. */
export type CommandOf = (part: TuningPart, jobFile: string) => WorkCommand;

const program = fileURLToPath(new URL("../../training/tune/cli.ts", import.meta.url));

export const tuneCommand: CommandOf = (part, jobFile) => ({
  program: process.execPath,
  args: [program, part, jobFile],
});
