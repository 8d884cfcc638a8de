// Owns how a served model was imported, so that what is trained from it can be imported alike: read from its manifest and its graph.
// It imports nothing.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ImportOptions } from "../importer/import-checkpoint.ts";
import { badModel, isObject, readJsonObject } from "../importer/json.ts";
import { HEAD_PRECISIONS, PRECISIONS } from "../importer/precision.ts";
import { type Manifest, manifestName } from "../manifest.ts";
import { readExternalTensors } from "../onnx/read-graph.ts";

/** All that does not name the model, its place or its time. */
export type InheritedImport = Pick<
  ImportOptions,
  | "precision"
  | "headPrecision"
  | "kvPrecision"
  | "blockSize"
  | "accuracyLevel"
  | "isDithered"
  | "contextWindow"
  | "endOfConversation"
  | "responseRole"
  | "isBatchInvariant"
  | "licence"
>;

const DEFAULT_BLOCK_SIZE = 32;

/** Throws `bad_model` for a precision that the importer does not know. */
export async function importLike(folder: string, manifest: Manifest): Promise<InheritedImport> {
  const precision = PRECISIONS.find((known) => known === manifest.precision);
  if (precision === undefined) throw badModel(manifestName, `field precision is "${manifest.precision}"`);
  const tensors = readExternalTensors(await readFile(join(folder, "model.onnx")));
  const packed = [...tensors.values()].find(({ name }) => name.endsWith(".packed") && name.startsWith("layers."));
  const head = tensors.get("head.packed");
  const bits = head?.attributes.get("bits");
  const headPrecision = bits === undefined ? "float" : `int${bits}`;
  return {
    precision,
    headPrecision: HEAD_PRECISIONS.find((known) => known === headPrecision) ?? null,
    kvPrecision: manifest.kvPrecision,
    blockSize: (packed ?? head)?.attributes.get("block_size") ?? DEFAULT_BLOCK_SIZE,
    accuracyLevel: (packed ?? head)?.attributes.get("accuracy_level") ?? null,
    // Its weights lie on the grid that theirs would be rounded to.
    isDithered: precision === "int8" || precision === "int4",
    contextWindow: manifest.contextWindow,
    endOfConversation: await endOfConversationOf(folder, manifest),
    responseRole: manifest.responseRole,
    isBatchInvariant: manifest.isBatchInvariant,
    licence: manifest.licence,
  };
}

async function endOfConversationOf(folder: string, { tokens }: Manifest): Promise<string | null> {
  const { endOfConversationId: id } = tokens;
  const { added_tokens: added } = await readJsonObject(join(folder, "tokenizer.json"));
  if (id === null || !Array.isArray(added)) return null;
  const token = (added as readonly unknown[]).find((entry) => isObject(entry) && entry["id"] === id);
  return isObject(token) && typeof token["content"] === "string" ? token["content"] : null;
}
