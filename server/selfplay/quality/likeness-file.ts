// Owns where the human-likeness classifier of a gateway comes from: the operator's file, else the one in models/.
// It knows neither jobs nor what the figures mean.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type HumanLikenessModel, readHumanLikeness } from "../../../training/measures/human-likeness.ts";

const FILE_NAME = "human-likeness.json";
const builtIn = join(import.meta.dirname, "..", "..", "..", "models", FILE_NAME);

/** The classifier of a data folder; null where its file holds `null`, or nothing is in models/. Throws an Error that names the file and its first wrong field. */
export async function loadHumanLikeness(folder: string): Promise<HumanLikenessModel | null> {
  // In a container, models/ may be a mount with the operator's models and no classifier.
  for (const path of [join(folder, FILE_NAME), builtIn]) {
    const text = await readIfThere(path);
    if (text !== null) return parse(path, text);
  }
  return null;
}

function parse(path: string, text: string): HumanLikenessModel | null {
  try {
    const json: unknown = JSON.parse(text);
    return json === null ? null : readHumanLikeness(json);
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
