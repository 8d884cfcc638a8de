// Owns the flags that every command over sources shares, their help, and what they mean as PrepareOptions.
// Every bad flag is one sentence. It reads no file.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { modelFolderName } from "../../runtime/model-id.ts";
import { PAPER_RULES, RULE_NAMES, type RuleName } from "../clean/rules.ts";
import { type Format, FORMATS } from "../sources/formats.ts";
import { SPLIT_RULES } from "../split/segments.ts";
import type { PrepareOptions } from "./prepare.ts";

/** For `parseArgs`, beside a command's own flags. */
export const PREPARE_FLAGS = {
  format: { type: "string" },
  clean: { type: "string" },
  "keep-rule": { type: "string", multiple: true, default: [] as string[] },
  "drop-rule": { type: "string", multiple: true, default: [] as string[] },
  language: { type: "string", default: "characters" },
  model: { type: "string" },
  "max-tokens": { type: "string" },
  split: { type: "string", default: "fit" },
  holdout: { type: "string", default: "0" },
  seed: { type: "string", default: "125" },
  limit: { type: "string" },
  data: { type: "string" },
  url: { type: "string" },
} as const;

export const PREPARE_HELP = `  SOURCE                        A file, a folder of files, or job:ID for a self-play job; several are read in order
  --format FORMAT               ${FORMATS.slice(0, 5).join(", ")},
                                ${FORMATS.slice(5).join(", ")} [by content]
  --clean paper|none|RULES      Cleaning rules: the paper's, none, or names with commas between
                                [paper; none for self-play dialogues]
  --keep-rule RULE              Add a rule; may be given again
  --drop-rule RULE              Leave a rule out; may be given again
  --language LANGUAGE           characters: drop what has characters beyond ASCII; a code of three letters such as eng:
                                by the letters' frequencies; any [characters]
  --model MODEL                 Model folder, or its name in models/, whose tokenizer and template count
  --max-tokens N                Split sessions at N tokens [the model's context window]
  --split fit|paper|none        fit: no segment is longer than the window; paper: the answer that overflows stays [fit]
  --holdout SHARE               Share of sessions to hold out, from 0 to below 1 [0]
  --seed N                      Decides what is held out [125]
  --limit N                     Stop after N conversations
  --data FOLDER, --url URL      Where self-play jobs are: a gateway's data folder, or a running gateway
`;

/** A flag that cannot be; the message is a sentence without its full stop. */
export class FlagError extends Error {
  override readonly name = "FlagError";
}

/** What `parseArgs` makes of PREPARE_FLAGS. */
export interface PrepareFlags {
  readonly format?: string | undefined;
  readonly clean?: string | undefined;
  readonly "keep-rule": readonly string[];
  readonly "drop-rule": readonly string[];
  readonly language: string;
  readonly model?: string | undefined;
  readonly "max-tokens"?: string | undefined;
  readonly split: string;
  readonly holdout: string;
  readonly seed: string;
  readonly limit?: string | undefined;
  readonly data?: string | undefined;
  readonly url?: string | undefined;
}

/** Throws FlagError. `onBroken` is the command's own. */
export function toPrepareOptions(flags: PrepareFlags, onBroken: PrepareOptions["onBroken"]): PrepareOptions {
  const { url = null, data = null } = flags;
  if (url !== null && data !== null) throw new FlagError("--data and --url exclude each other");
  const base = basePresets(flags.clean);
  return {
    format: flags.format === undefined ? null : oneOf<Format>("--format", flags.format, FORMATS),
    store: { url, data },
    rules: rulesOf(base.foreign, flags),
    selfplayRules: rulesOf(base.selfplay, flags),
    language: /^[a-z]{3}$/.test(flags.language) ? flags.language : "eng",
    split: splitOf(flags),
    holdout: share("--holdout", flags.holdout),
    seed: integer("--seed", flags.seed),
    limit: flags.limit === undefined ? null : positiveInt("--limit", flags.limit),
    onBroken,
  };
}

const models = join(import.meta.dirname, "..", "..", "models");

/** The folder of a model that is named by its path or by its name in the repository's `models/`. Throws FlagError where there is none. */
export function modelFolderOf(model: string): string {
  const served = modelFolderName(model);
  const found = [model, join(models, served)].find((folder) => existsSync(join(folder, "manifest.json")));
  if (found === undefined) throw new FlagError(`--model names no model folder: neither ${model} nor models/${served}`);
  return found;
}

type Rules = ReadonlySet<RuleName>;

function basePresets(clean: string | undefined): { readonly foreign: Rules; readonly selfplay: Rules } {
  if (clean === undefined) return { foreign: PAPER_RULES, selfplay: new Set() };
  const named =
    clean === "paper" ? PAPER_RULES : new Set(clean === "none" ? [] : clean.split(",").map(ruleOf("--clean")));
  return { foreign: named, selfplay: named };
}

function rulesOf(base: Rules, flags: PrepareFlags): Rules {
  const { language } = flags;
  const rules = new Set(base);
  if (rules.has("language-characters") && language !== "characters") {
    rules.delete("language-characters");
    if (language !== "any") rules.add("language-statistical");
  }
  if (!/^(characters|any|[a-z]{3})$/.test(language)) {
    throw new FlagError(`--language must be characters, any or a code of three letters, found "${language}"`);
  }
  for (const name of flags["keep-rule"]) rules.add(ruleOf("--keep-rule")(name));
  for (const name of flags["drop-rule"]) rules.delete(ruleOf("--drop-rule")(name));
  return rules;
}

const ruleOf = (flag: string) => (name: string) => oneOf<RuleName>(flag, name.trim(), RULE_NAMES);

function splitOf({ split, model, "max-tokens": maxTokens }: PrepareFlags): PrepareOptions["split"] {
  const rule = oneOf("--split", split, [...SPLIT_RULES, "none"] as const);
  if (rule === "none") return null;
  if (model === undefined) {
    if (maxTokens !== undefined) throw new FlagError("--max-tokens needs --model, whose tokens are counted");
    return null;
  }
  return {
    rule,
    modelFolder: modelFolderOf(model),
    maxTokens: maxTokens === undefined ? null : positiveInt("--max-tokens", maxTokens),
  };
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new FlagError(`${flag} must be one of ${allowed.join(", ")}, found "${value}"`);
  return found;
}

function integer(flag: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new FlagError(`${flag} must be a whole number, found "${text}"`);
  }
  return value;
}

function positiveInt(flag: string, text: string): number {
  const value = integer(flag, text);
  if (value === 0) throw new FlagError(`${flag} must be a positive integer, found "${text}"`);
  return value;
}

function share(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value < 1)) {
    throw new FlagError(`${flag} must be a number from 0 to below 1, found "${text}"`);
  }
  return value;
}
