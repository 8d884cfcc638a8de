// `npm run selfplay`: plays one dialogue in the terminal, live, or runs a job of many, in this process or on a running gateway.
// Owns the process: signals, exit codes, where output goes. What is played and how it looks is decided elsewhere.
// Example: npm run selfplay -- --seed 7 --max-turns 5 --user-temperature 0.9
import { styleText } from "node:util";
import type { EngineObserver } from "../../runtime/chat-model.ts";
import { EngineError } from "../../runtime/errors.ts";
import { ConfigError, readConfig } from "../config.ts";
import { ApiError } from "../openai/error.ts";
import { validate } from "../openai/validation.ts";
import { helpText, readCommand, type SelfplayCommand, UsageError } from "./cli-options.ts";
import { playDialogue } from "./dialogue.ts";
import { runJob } from "./jobs/run-in-terminal.ts";
import { playRemotely, RemoteError } from "./remote-dialogue.ts";
import { StoreError } from "../store/database.ts";
import { toDialogueRequest } from "./request.ts";
import { selfplaySchema } from "./schema.ts";
import { TerminalView } from "./terminal-view.ts";
import { toWireEvent } from "./wire.ts";

/** What the shell shows for a program ended by Ctrl-C. */
const interruptedCode = 130;

/** One sequence at a time, and the second row that makes its result independent of batching. */
const slotsPerModel = 2;

const unobserved: EngineObserver = { onStep() {}, onSequenceEnd() {}, onState() {} };

async function main(argv: readonly string[]): Promise<number> {
  const command = readCommand(argv);
  if (command.isHelp) {
    console.log(helpText());
    return 0;
  }
  const abort = new AbortController();
  // Once: a second Ctrl-C ends the process the ordinary way.
  process.once("SIGINT", () => abort.abort());
  process.once("SIGTERM", () => abort.abort());
  // Whoever read our output (head, less) is gone.
  process.stdout.on("error", () => abort.abort());
  const config = readConfig([]);
  if (command.job !== null) {
    const terminal = {
      isLive: process.stdout.isTTY,
      write: (text: string) => void process.stdout.write(text),
      nowMs: () => performance.now(),
    };
    const isComplete = await runJob(command.job, config, terminal, abort.signal);
    if (abort.signal.aborted) return interruptedCode;
    return isComplete ? 0 : 1;
  }
  const events =
    command.url === null
      ? playHere(command, { ...config, slotsPerModel }, abort.signal)
      : playRemotely(command.url, command.body, config.apiKeys[0], abort.signal);
  await (command.isJson ? printJson(events, abort.signal) : showLive(events, abort.signal));
  return abort.signal.aborted ? interruptedCode : 0;
}

/** The events of a dialogue between models of this process, as a gateway would send them. */
async function* playHere(
  { body }: SelfplayCommand,
  config: ReturnType<typeof readConfig>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void> {
  const checked = validate(selfplaySchema, body);
  // Only now: neither --help nor a mistyped option should need the native library.
  const { openRegistry } = await import("../registry.ts");
  const catalog = await openRegistry(config, unobserved, signal);
  try {
    const id = "dlg_terminal";
    const request = toDialogueRequest(checked, catalog, id);
    const options = {
      format: checked.format ?? "openai",
      createdAtS: Math.floor(Date.now() / 1000),
      hasTokenIds: checked.return_token_ids ?? false,
    };
    for await (const event of playDialogue(request, signal)) yield toWireEvent(id, event, options);
  } finally {
    await catalog.close();
  }
}

async function showLive(events: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  const view = new TerminalView((style, text) => styleText(style, text, { stream: process.stdout }));
  try {
    for await (const event of events) process.stdout.write(view.show(event, performance.now()));
  } catch (error) {
    if (!signal.aborted) {
      if (view.hasBegun) process.stdout.write(view.summary("error"));
      throw error;
    }
  }
  process.stdout.write(view.summary("cancelled"));
}

async function printJson(events: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  let last: unknown = null;
  try {
    for await (const event of events) last = event;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  const isWhole = typeof last === "object" && last !== null && "object" in last && last.object === "selfplay.dialogue";
  if (isWhole) console.log(JSON.stringify(last));
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof ConfigError || error instanceof ApiError;
    // What a person can put right is one sentence; anything else is a fault of ours and shows where.
    console.error(
      isUsage || error instanceof RemoteError || error instanceof EngineError || error instanceof StoreError
        ? error.message
        : error,
    );
    process.exitCode = isUsage ? 2 : 1;
  }
}
