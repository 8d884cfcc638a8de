// Owns settings.json of a run: what it began with, and that it goes on with nothing else.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readOptionalJsonObject } from "../../runtime/importer/json.ts";
import { BadInput } from "./bad-input.ts";
import type { RecipeOptions } from "./options.ts";

const FILE = "settings.json";
/** What may differ between a run and its continuation without changing a loss. The data are known by their hash. */
const FREE = new Set([
  "data",
  "run-folder",
  "checkpoint-every",
  "keep",
  "reference-examples",
  "threads",
  "ignore-memory",
]);

/** Writes the settings of a new run; refuses to go on with others than it began with. */
export async function rememberSettings({ runFolder, isResuming, settings }: RecipeOptions): Promise<void> {
  const path = join(runFolder, FILE);
  const earlier = await readOptionalJsonObject(path);
  const own = { recipe: "onnx", ...settings };
  if (earlier === null) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify(own, null, 2)}\n`);
    return;
  }
  if (!isResuming) {
    throw new BadInput(`${runFolder} holds an earlier run: --resume goes on with it, another --run-folder begins anew`);
  }
  // Runs of other recipes spell their flags otherwise and say no recipe.
  if (earlier["recipe"] !== "onnx") throw new BadInput(`${runFolder} holds a run of another recipe than onnx`);
  for (const [name, value] of Object.entries(own)) {
    const before = earlier[name] ?? null;
    if (FREE.has(name) || before === value) continue;
    throw new BadInput(`the run was begun with --${name} ${show(before)}, and cannot go on with ${show(value)}`);
  }
}

function show(value: unknown): string {
  return typeof value === "string" ? value : value === null ? "not given" : JSON.stringify(value);
}
