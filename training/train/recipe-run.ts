// Owns the recipe's process: starts it, hands on what it says, asks it to stop, and tells how it ended.
// It knows neither flags nor screens.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseRecipeEvent, type RecipeEvent } from "./events.ts";

const KEPT_LINES = 12;

export interface RecipeCommand {
  readonly program: string;
  readonly args: readonly string[];
}

export type RecipeEnding =
  /** `result` is the checkpoint's folder. */
  | { readonly kind: "done"; readonly result: string; readonly event: RecipeEvent & { readonly event: "done" } }
  /** It left a checkpoint and can go on. */
  | { readonly kind: "interrupted"; readonly step: number };

/**
 * Runs a recipe to its end. Aborting asks it to write a checkpoint and stop, once; it is waited for. Throws an Error whose
 * message is the recipe's own when it failed.
 */
export async function runRecipe(
  { program, args }: RecipeCommand,
  onEvent: (event: RecipeEvent) => void,
  signal: AbortSignal,
): Promise<RecipeEnding> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const complaints: string[] = [];
  let ending: RecipeEnding | null = null;
  let failure: string | null = null;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = parseRecipeEvent(line);
    if (event === null) return;
    if (event.event === "done") ending = { kind: "done", result: event.result, event };
    if (event.event === "interrupted") ending = { kind: "interrupted", step: event.step };
    if (event.event === "error") failure = event.message;
    onEvent(event);
  });
  // Progress bars of libraries are no complaints.
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (line.trim() === "" || line.includes("%|")) return;
    complaints.push(line);
    if (complaints.length > KEPT_LINES) complaints.shift();
  });
  const stop = () => child.kill("SIGTERM");
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  let status: (number | string | null)[];
  try {
    status = (await once(child, "close")) as (number | string | null)[];
  } finally {
    signal.removeEventListener("abort", stop);
  }
  const [code = null, killedBy = null] = status;
  // torchrun has exit codes of its own: what was said last counts, where something was.
  const ended = ending as RecipeEnding | null;
  if (ended !== null && (ended.kind === "interrupted" || code === 0)) return ended;
  if (failure !== null) throw new Error(failure);
  if (signal.aborted) throw new Error("the training was stopped before it had begun: there is nothing to resume");
  const how = killedBy === null ? `with exit code ${code ?? "unknown"}` : `by ${killedBy}`;
  throw new Error([`the training ended ${how}`, ...complaints].join("\n  "));
}
