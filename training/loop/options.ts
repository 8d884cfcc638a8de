// `npm run loop`'s command line: its own flags, those that it hands on to the trainer, and what they mean together.
// Every bad flag is one sentence. It reads no file and starts nothing.
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { FlagError } from "../prepare/flags.ts";
import { RECIPE_FLAGS, recipeFlagProblem } from "../train/recipe-flags.ts";
import { DEFAULT_STOP_REASONS, FILTER_RULES, type FilterOptions } from "./filter.ts";
import { GATE_RULES, type GateOptions } from "./gate.ts";
import { HANDED_ON, LOOP_FLAGS } from "./loop-flags.ts";

export interface LoopOptions {
  readonly rounds: number;
  /** Dialogues of a round. */
  readonly count: number;
  /** Whose models are trained, in this order. */
  readonly roles: readonly ModelRole[];
  /** Ids or folders of those that play the first round. */
  readonly models: Readonly<Record<ModelRole, string>>;
  readonly heldout: readonly string[];
  /** Dialogues of each held-out file; null for all. */
  readonly heldoutLimit: number | null;
  readonly runFolder: string;
  /** Where accepted models go. */
  readonly modelsFolder: string;
  /** In the accepted models' ids. */
  readonly name: string;
  /** A running gateway; null starts one. */
  readonly url: string | null;
  readonly seed: number;
  /** JSON with further fields of the request for a self-play job. */
  readonly selfplayFile: string | null;
  readonly maxTurns: number | null;
  readonly filter: FilterOptions;
  readonly gate: GateOptions;
  /** Who compares a trained assistant with its parent; null for nobody. */
  readonly judge: {
    /** Its name at the url, or a model folder. */
    readonly model: string;
    readonly url: string | null;
    readonly questions: number;
  } | null;
  readonly learnsEnd: boolean;
  /** Share of the kept dialogues that only chooses the best weights. */
  readonly holdout: number;
  readonly device: (typeof DEVICES)[number];
  readonly threads: number | null;
  /** For the trainer, as they are. */
  readonly trainArguments: readonly string[];
  readonly isResuming: boolean;
  /** By flag: all that decides what comes out. */
  readonly settings: Readonly<Record<string, unknown>>;
}

export type LoopCommand =
  | { readonly kind: "help" }
  | { readonly kind: "loop"; readonly options: LoopOptions }
  /** Only looks whether everything in a run is what its records say. */
  | { readonly kind: "verify"; readonly runFolder: string; readonly modelsFolder: string };

const DEVICES = ["cpu", "cuda", "auto"] as const;

type Given = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** Reads the arguments after the program's name. Throws FlagError. */
export function parseLoopArguments(args: readonly string[]): LoopCommand {
  const given = parse(args);
  if (given["help"] === true) return { kind: "help" };
  const text = (name: string): string | null => {
    const value = given[name];
    return typeof value === "string" && value !== "" ? value : null;
  };
  const runFolder = text("run-folder") ?? join("runs", text("name") ?? "loop");
  const modelsFolder = text("out") ?? join(runFolder, "models");
  if (given["verify"] === true) return { kind: "verify", runFolder, modelsFolder };
  const needed = (name: string): string => {
    const value = text(name);
    if (value === null) throw new FlagError(`--${name} is needed`);
    return value;
  };
  const list = (name: string) => (given[name] ?? []) as readonly string[];
  const name = text("name") ?? "loop";
  if (!/^[A-Za-z0-9._-]{1,40}$/.test(name)) {
    throw new FlagError(`--name must be letters, digits, ".", "_" or "-", at most 40, found "${name}"`);
  }
  const heldout = list("heldout");
  if (heldout.length === 0) throw new FlagError("--heldout is needed: human dialogues that no training saw");
  const role = oneOf("role", text("role") ?? "both", ["user", "assistant", "both"]);
  const options: Omit<LoopOptions, "settings"> = {
    rounds: whole("rounds", needed("rounds")),
    count: whole("count", needed("count")),
    roles: role === "both" ? ["user", "assistant"] : [role],
    models: { user: text("user") ?? "usergpt", assistant: text("assistant") ?? "realm" },
    heldout,
    heldoutLimit: wholeOrNull("heldout-limit", text("heldout-limit")),
    runFolder,
    modelsFolder,
    name,
    url: text("url"),
    seed: whole("seed", text("seed") ?? "1", 0),
    selfplayFile: text("selfplay"),
    maxTurns: wholeOrNull("max-turns", text("max-turns")),
    filter: {
      stopReasons: text("stop-reasons")?.split(",") ?? DEFAULT_STOP_REASONS,
      leastRounds: whole("least-rounds", text("least-rounds") ?? "2", 1),
      leastCharacters: whole("least-characters", text("least-characters") ?? "1", 0),
      mostCharacters: wholeOrNull("most-characters", text("most-characters")),
      without: list("without").map((rule) => oneOf("without", rule, FILTER_RULES)),
    },
    gate: {
      rule: oneOf("gate", text("gate") ?? "not-worse", GATE_RULES),
      margin: number("margin", text("margin") ?? "0.01"),
      leastPairs: whole("least-pairs", text("least-pairs") ?? "20", 0),
    },
    judge: judgeOf(text("judge"), text("judge-url"), text("judge-questions")),
    learnsEnd: given["learn-end"] === true,
    holdout: share("holdout", text("holdout") ?? "0.05"),
    device: oneOf("device", text("device") ?? "cpu", DEVICES),
    threads: wholeOrNull("threads", text("threads")),
    trainArguments: HANDED_ON.flatMap((flag) => trainArgument(flag, given[flag])),
    isResuming: given["resume"] === true,
  };
  return { kind: "loop", options: { ...options, settings: settingsOf(options) } };
}

function parse(args: readonly string[]): Given {
  const own = Object.entries(LOOP_FLAGS).map(([name, { kind }]) => {
    const type = kind === "switch" ? ("boolean" as const) : ("string" as const);
    return [name, { type, multiple: kind === "list" }] as const;
  });
  const handedOn = HANDED_ON.map((name) => {
    const type = RECIPE_FLAGS[name]?.kind === "switch" ? ("boolean" as const) : ("string" as const);
    return [name, { type, multiple: false }] as const;
  });
  const flags = Object.fromEntries([...own, ...handedOn]);
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values as Given;
  } catch (cause) {
    // Only the first sentence: parseArgs goes on with advice about its own syntax.
    const sentence = cause instanceof Error ? (cause.message.split(/\.\s/)[0] ?? "") : String(cause);
    throw new FlagError(sentence.replace(/\.$/, ""), { cause });
  }
}

/** What may differ when a run goes on (how far, where, with how many threads) is not among them. */
function settingsOf(options: Omit<LoopOptions, "settings">): Readonly<Record<string, unknown>> {
  const { filter, gate } = options;
  const train = options.trainArguments.map((argument): [string, unknown] => {
    const [flag = "", ...value] = argument.replace(/^--/, "").split("=");
    return [flag, value.length === 0 ? true : value.join("=")];
  });
  return {
    count: options.count,
    role: options.roles.length === 2 ? "both" : options.roles[0],
    user: options.models.user,
    assistant: options.models.assistant,
    heldout: options.heldout,
    "heldout-limit": options.heldoutLimit,
    name: options.name,
    seed: options.seed,
    selfplay: options.selfplayFile,
    "max-turns": options.maxTurns,
    "stop-reasons": filter.stopReasons.join(","),
    "least-rounds": filter.leastRounds,
    "least-characters": filter.leastCharacters,
    "most-characters": filter.mostCharacters,
    without: filter.without,
    gate: gate.rule,
    margin: gate.margin,
    "least-pairs": gate.leastPairs,
    judge: options.judge?.model ?? null,
    "judge-questions": options.judge?.questions ?? null,
    "learn-end": options.learnsEnd,
    holdout: options.holdout,
    device: options.device,
    ...Object.fromEntries(train),
  };
}

function judgeOf(model: string | null, url: string | null, questions: string | null): LoopOptions["judge"] {
  if (model !== null) return { model, url, questions: whole("judge-questions", questions ?? "20") };
  const without = url === null ? (questions === null ? null : "judge-questions") : "judge-url";
  if (without !== null) throw new FlagError(`--${without} needs --judge`);
  return null;
}

function trainArgument(flag: string, value: Given[string]): string[] {
  if (value === undefined) return [];
  const problem = typeof value === "string" ? recipeFlagProblem(flag, value) : null;
  if (problem !== null) throw new FlagError(`--${flag} ${problem}`);
  return [value === true ? `--${flag}` : `--${flag}=${String(value)}`];
}

function oneOf<const T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new FlagError(`--${flag} must be one of ${allowed.join(", ")}, found "${value}"`);
  return found;
}

function whole(flag: string, value: string, least = 1): number {
  const found = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(found) && found >= least) return found;
  throw new FlagError(`--${flag} must be a whole number from ${least}, found "${value}"`);
}

function wholeOrNull(flag: string, value: string | null): number | null {
  return value === null ? null : whole(flag, value);
}

function number(flag: string, value: string): number {
  const found = Number(value);
  if (value.trim() !== "" && Number.isFinite(found) && found >= 0) return found;
  throw new FlagError(`--${flag} must be a number that is not negative, found "${value}"`);
}

function share(flag: string, value: string): number {
  const found = number(flag, value);
  if (found < 1) return found;
  throw new FlagError(`--${flag} must be a number from 0 to below 1, found "${value}"`);
}
