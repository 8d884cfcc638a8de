// Owns which command does what, and what a failure comes to: a sentence and an exit code. It reads no environment of its own.
// Exit codes: 0 done, 1 it failed (what was finished is kept, and the same command goes on from there), 2 bad flags, 130 interrupted.
import { EngineError } from "../../runtime/errors.ts";
import { SourceError } from "../sources/source-error.ts";
import { type CommandName, helpText } from "./commands.ts";
import { type Options, parseCommand, UsageError } from "./options.ts";
import type { Terminal } from "./terminal.ts";

const interruptedCode = 130;

interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
}

type Run = (options: Options, surroundings: Surroundings, signal: AbortSignal) => Promise<void>;

/** Loaded when asked for: plots and the native library take their time. */
const run: Readonly<Record<CommandName, Run>> = {
  answers: async (options, { environment, terminal }, signal) =>
    (await import("./run-judging.ts")).runAnswers(options, environment, terminal, signal),
  "judge pointwise": async (options, { environment, terminal }, signal) =>
    (await import("./run-judging.ts")).runPointwise(options, environment, terminal, signal),
  "judge pairwise": async (options, { environment, terminal }, signal) =>
    (await import("./run-judging.ts")).runPairwise(options, environment, terminal, signal),
  report: async (options, { terminal }) => (await import("./run-report.ts")).runReport(options, terminal),
  perplexity: async (options, { terminal }, signal) =>
    (await import("./run-perplexity.ts")).runPerplexity(options, terminal, signal),
  termination: async (options, { terminal }, signal) =>
    (await import("./run-termination.ts")).runTermination(options, terminal, signal),
  subset: async (options, { terminal }, signal) =>
    (await import("./run-report.ts")).runSubset(options, terminal, signal),
  scaling: async (options, { terminal }) => (await import("./run-report.ts")).runScaling(options, terminal),
};

/** Runs a command line to its end; resolves to the exit code. */
export async function runCommand(
  argv: readonly string[],
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  const { terminal } = surroundings;
  try {
    const { name, options } = parseCommand(argv);
    if (name === null) terminal.print(helpText());
    else await run[name](options, surroundings, signal);
    return signal.aborted ? interruptedCode : 0;
  } catch (error) {
    if (signal.aborted) return interruptedCode;
    terminal.note(`evaluate: ${sentenceOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** What is not meant for people keeps its stack. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isForPeople =
    error instanceof EngineError ||
    error instanceof SourceError ||
    error instanceof UsageError ||
    error.constructor === Error;
  return isForPeople ? error.message : (error.stack ?? error.message);
}
