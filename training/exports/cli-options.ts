// Owns the command line of the export: its own flags beside those that every command over sources has, and what they mean.
// Every bad flag is one sentence. It reads no conversation.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { FlagError, modelFolderOf, PREPARE_FLAGS, PREPARE_HELP, toPrepareOptions } from "../prepare/flags.ts";
import type { PrepareOptions } from "../prepare/prepare.ts";
import type { Format } from "./format.ts";
import { formats } from "./formats.ts";

export interface ExportCommand {
  readonly sources: readonly string[];
  readonly prepare: PrepareOptions;
  readonly format: Format;
  readonly role: ModelRole;
  /** null where none was named and none is needed. */
  readonly modelFolder: string | null;
  readonly maxTokens: number | null;
  readonly learnsEnd: boolean;
  /** Told to the trained role in every conversation, instead of what the sources say; null leaves that as it is. */
  readonly system: string | null;
  readonly isMeasured: boolean;
  readonly out: string;
  readonly isReplacing: boolean;
}

const OWN_FLAGS = {
  to: { type: "string" },
  role: { type: "string" },
  out: { type: "string" },
  system: { type: "string" },
  "system-file": { type: "string" },
  "learn-end": { type: "boolean", default: false },
  "no-measures": { type: "boolean", default: false },
  force: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export const EXPORT_HELP = `Usage: npm run export -- SOURCE… --to FORMAT --role user|assistant --out FOLDER [options]

Turns conversations into what a trainer reads.

  --to FORMAT                   ${formats.map(({ name }) => name).join(", ")}
  --role user|assistant         Whose turns are trained
  --out FOLDER                  New folder; it has its name only when it is whole
  --system TEXT                 Told first in every conversation, instead of what the sources say; keep it for serving
  --system-file FILE            The same from a file, to the last byte
  --learn-end                   A user model also learns to end conversations that are known to have come to their end
  --no-measures                 Leave out the measures of a data set card, which take memory with the conversations
  --force                       Replace an existing folder
  --help                        This text

Sources and how they are prepared:

${PREPARE_HELP}`;

/** What the command line asks for; null for help. Throws FlagError. */
export function parseExportArguments(
  args: readonly string[],
  onBroken: PrepareOptions["onBroken"],
): ExportCommand | null {
  const { values, positionals } = parse(args);
  if (values.help) return null;
  if (positionals.length === 0) throw new FlagError("name at least one source");
  const format = formats.find(({ name }) => name === needed("--to", values.to));
  if (format === undefined) {
    throw new FlagError(
      `--to must be one of ${formats.map(({ name }) => name).join(", ")}, found "${values.to ?? ""}"`,
    );
  }
  if (format.needsModel) needed(`--model, for the format ${format.name},`, values.model);
  if (values.system !== undefined && values["system-file"] !== undefined) {
    throw new FlagError("--system and --system-file exclude each other");
  }
  const prepare = toPrepareOptions(values, onBroken);
  return {
    sources: positionals,
    prepare,
    format,
    role: roleOf(needed("--role", values.role)),
    modelFolder: values.model === undefined ? null : modelFolderOf(values.model),
    maxTokens: values["max-tokens"] === undefined ? null : tokensOf(values["max-tokens"]),
    learnsEnd: values["learn-end"],
    system: values["system-file"] === undefined ? (values.system ?? null) : textOf(values["system-file"]),
    isMeasured: format.name === "hf" && !values["no-measures"],
    out: needed("--out", values.out).replace(/\/+$/, ""),
    isReplacing: values.force,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { ...PREPARE_FLAGS, ...OWN_FLAGS }, allowPositionals: true });
  } catch (error) {
    const sentence = error instanceof Error ? (error.message.split(/\.\s/)[0] ?? "") : String(error);
    throw new FlagError(sentence.replace(/\.$/, ""), { cause: error });
  }
}

function needed(flag: string, value: string | undefined): string {
  if (value === undefined || value === "") throw new FlagError(`${flag} is needed`);
  return value;
}

/** Throws FlagError. */
export function roleOf(text: string): ModelRole {
  if (text === "user" || text === "assistant") return text;
  throw new FlagError(`--role must be user or assistant, found "${text}"`);
}

/** Throws FlagError. */
export function tokensOf(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0 && Number.isSafeInteger(value)) return value;
  throw new FlagError(`--max-tokens must be a positive integer, found "${text}"`);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlagError(`--system-file ${file} cannot be read`, { cause });
  }
}
