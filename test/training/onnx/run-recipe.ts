// Runs the recipe inside the test's process, over a recorded checkpoint and made-up examples.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { uniform } from "../../../runtime/engine/random.ts";
import { parseRecipeOptions } from "../../../training/onnx/options.ts";
import { runRecipe } from "../../../training/onnx/recipe.ts";
import { Reporter } from "../../../training/onnx/reporter.ts";
import { type Recorded, recordedFolder } from "../../support/checkpoints.ts";

export interface RecipeEventLine {
  readonly event: string;
  readonly step?: number;
  readonly loss?: number;
  readonly heldout_loss?: number;
  readonly [field: string]: unknown;
}

/** `count` examples of the recorded checkpoints' 64 ids, of different lengths; about half of the tokens are in the loss. */
export function madeExamples(count: number, seed: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const draw = (at: number, below: number) => Math.floor(uniform(seed, index, at) * below);
    const length = 6 + draw(0, 12);
    const ids = Array.from({ length }, (_id, at) => 1 + draw(1 + at, 63));
    const labels = ids.map((id, at) => (at > 0 && at % 4 < 2 ? id : -100));
    return JSON.stringify({ id: `${seed}/${index}`, input_ids: ids, labels });
  });
}

/** A pre-tokenized export with as many training and held-out examples. */
export async function dataFolder(
  folder: string,
  train: readonly string[],
  heldout: readonly string[],
): Promise<string> {
  const data = join(folder, "data");
  await mkdir(data, { recursive: true });
  await writeFile(join(data, "train.jsonl"), train.map((line) => `${line}\n`).join(""));
  if (heldout.length > 0) await writeFile(join(data, "heldout.jsonl"), heldout.map((line) => `${line}\n`).join(""));
  return data;
}

export interface RunOptions {
  readonly data: string;
  readonly run: string;
  /** Null for a model from scratch. */
  readonly base?: Recorded | null;
  readonly flags?: readonly string[];
  /** Hears every event; may abort. */
  readonly onEvent?: (event: RecipeEventLine, abort: AbortController) => void;
  readonly availableBytes?: number;
}

/** What was said, and whether it came to its end. */
export async function run({ data, run: runFolder, base = "smollm2", flags = [], ...rest }: RunOptions) {
  const { onEvent = () => {}, availableBytes = 8e9 } = rest;
  const abort = new AbortController();
  const events: RecipeEventLine[] = [];
  const options = parseRecipeOptions([
    `--data=${data}`,
    `--run-folder=${runFolder}`,
    ...(base === null ? [] : [`--base=${recordedFolder(base)}`]),
    "--threads=1",
    ...flags,
  ]);
  const reporter = new Reporter(runFolder, (line) => {
    const event = JSON.parse(line) as RecipeEventLine;
    events.push(event);
    onEvent(event, abort);
  });
  const hooks = { availableBytes: () => availableBytes, onDeviceFallback: () => {}, libraryPath: null };
  const isDone = await runRecipe(options, reporter, hooks, abort.signal);
  return { isDone, events, steps: stepsOf(events) };
}

/** Number and loss of every step. */
export function stepsOf(
  events: readonly RecipeEventLine[],
): { step: number; loss: number; heldoutLoss: number | null }[] {
  return events
    .filter(({ event }) => event === "step")
    .map(({ step = 0, loss = Number.NaN, heldout_loss: heldout }) => ({ step, loss, heldoutLoss: heldout ?? null }));
}

/** The steps in RUN/log.jsonl. */
export async function loggedSteps(runFolder: string) {
  const lines = (await readFile(join(runFolder, "log.jsonl"), "utf8")).trim().split("\n");
  return stepsOf(lines.map((line) => JSON.parse(line) as RecipeEventLine));
}
