// Owns the way in for a run that a recipe has finished elsewhere, on a machine with a GPU say, and whose folder was brought here.
// It starts nothing and writes nothing.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../runtime/errors.ts";
import { readJsonObject } from "../../runtime/importer/json.ts";
import { parseRecipeEvent } from "./events.ts";
import type { RecipeEnding } from "./recipe-run.ts";

export interface FinishedRun {
  readonly ending: RecipeEnding & { readonly kind: "done" };
  /** By flag, without what names a place over there. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Of the examples that it was trained on. */
  readonly dataSha256: string | undefined;
}

const PLACES = new Set(["data", "run-folder", "base", "config", "tokenizer", "resume"]);

/** What log.jsonl and settings.json tell. Throws EngineError("invalid_request") when the run has not come to its end. */
export async function finishedRun(runFolder: string): Promise<FinishedRun> {
  const path = join(runFolder, "log.jsonl");
  const log = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw refused(`${path} does not exist: --trained wants the run folder of a recipe`);
    throw error;
  });
  const events = log.split("\n").map((line) => parseRecipeEvent(line));
  const last = events.findLast((event) => event !== null);
  if (last?.event !== "done") throw refused(`${path} tells of no finished training: run the recipe to its end first`);
  const start = events.findLast((event) => event?.event === "start");
  const settings = Object.entries(await readJsonObject(join(runFolder, "settings.json")))
    .map(([name, value]) => [name.replaceAll("_", "-"), value] as const)
    .filter(([name, value]) => !PLACES.has(name) && value !== null && value !== false);
  return {
    // Where the result lay over there says nothing of here.
    ending: { kind: "done", result: join(runFolder, "result"), event: last },
    settings: Object.fromEntries(settings),
    dataSha256: start?.train_sha256,
  };
}

function refused(sentence: string): EngineError {
  return new EngineError("invalid_request", sentence);
}
