// Owns reading the command line of `npm run evaluate`: which command, and checked values of its flags. It runs nothing.
import { type ParseArgsConfig, parseArgs } from "node:util";
import { type CommandName, commands, type Flag } from "./commands.ts";

/** A command line that cannot be used; the message is one sentence for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The values of a command's flags. Every reader throws UsageError naming the flag. */
export class Options {
  readonly #values: Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

  constructor(values: Readonly<Record<string, string | readonly string[] | boolean | undefined>>) {
    this.#values = values;
  }

  text(name: string): string | null {
    const value = this.#values[name];
    return typeof value === "string" ? value : null;
  }

  needed(name: string): string {
    const value = this.text(name);
    if (value === null || value === "") throw new UsageError(`--${name} is needed.`);
    return value;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value : [];
  }

  whole(name: string, fallback: number, least = 1): number {
    return this.wholeOrNull(name, least) ?? fallback;
  }

  wholeOrNull(name: string, least = 1): number | null {
    const value = this.text(name);
    if (value === null) return null;
    return toWhole(name, value, least);
  }

  /** From 0 to 1. */
  share(name: string, fallback: number): number {
    const value = this.text(name);
    if (value === null) return fallback;
    const number = Number(value);
    if (value.trim() !== "" && number >= 0 && number <= 1) return number;
    throw new UsageError(`--${name} must be a number from 0 to 1, not "${value}".`);
  }

  /** Numbers with commas between them. */
  wholes(name: string): readonly number[] {
    return this.needed(name)
      .split(",")
      .map((value) => toWhole(name, value, 1));
  }

  numbers(name: string): readonly number[] {
    return this.needed(name)
      .split(",")
      .map((value) => {
        const number = Number(value);
        if (value.trim() === "" || !Number.isFinite(number)) {
          throw new UsageError(`--${name} must be numbers with commas between them; "${value}" is none.`);
        }
        return number;
      });
  }

  oneOf<const Value extends string>(name: string, allowed: readonly Value[], fallback: Value): Value {
    const value = this.text(name);
    if (value === null) return fallback;
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new UsageError(`--${name} must be ${allowed.join(", ")}, not "${value}".`);
    return found;
  }
}

export interface ParsedCommand {
  /** null: help is asked for. */
  readonly name: CommandName | null;
  readonly options: Options;
}

/** Reads arguments. Throws UsageError. */
export function parseCommand(argv: readonly string[]): ParsedCommand {
  const words = argv.slice(0, argv[0] === "judge" ? 2 : 1);
  const rest = argv.slice(words.length);
  if (argv.length === 0 || argv.includes("--help")) return { name: null, options: new Options({}) };
  const name = (Object.keys(commands) as CommandName[]).find((candidate) => candidate === words.join(" "));
  if (name === undefined) throw new UsageError(`There is no command "${words.join(" ")}" (--help lists them).`);
  const flags: Readonly<Record<string, Flag>> = commands[name].flags;
  const options: ParseArgsConfig["options"] = Object.fromEntries(
    Object.entries(flags).map(([flag, { value }]) => [flag, { type: "string", multiple: value === "list" } as const]),
  );
  try {
    const { values } = parseArgs({ args: rest, options, strict: true, allowPositionals: false });
    return { name, options: new Options(values as Record<string, string | string[] | undefined>) };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function toWhole(name: string, value: string, least: number): number {
  const number = Number(value);
  if (value.trim() !== "" && Number.isSafeInteger(number) && number >= least) return number;
  throw new UsageError(`--${name} must be whole numbers from ${least}; "${value}" is none.`);
}
