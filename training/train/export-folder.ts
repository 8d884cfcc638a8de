// Owns what a training takes from an export's folder: whose turns it trains, the template it was written with, its hash.
// It reads no examples; the recipe does.
import { join } from "node:path";
import { EngineError } from "../../runtime/errors.ts";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import { isObject, readJsonObject } from "../../runtime/importer/json.ts";
import type { ModelRole } from "../../runtime/chat-model.ts";

export interface ExportFolder {
  /** Null where both roles' turns are in the loss, or the export does not say. */
  readonly role: ModelRole | null;
  readonly templateHash: string;
  /** SHA-256 of the files of examples, by name. */
  readonly sha256: Readonly<Record<string, string>>;
}

const META = "meta.json";
const EXAMPLES = ["train.jsonl", "heldout.jsonl"];

/** Reads an export's folder. Throws EngineError("invalid_request") naming the file that is missing or wrong. */
export async function readExportFolder(folder: string, signal: AbortSignal): Promise<ExportFolder> {
  let meta;
  try {
    meta = await readJsonObject(join(folder, META));
  } catch (cause) {
    throw refused(`${folder} is no export to train on: ${sentenceOf(cause)}`, cause);
  }
  const { format, role, model } = meta;
  if (format !== "tokenized") {
    throw refused(`${folder} is an export of format ${JSON.stringify(format)}, and the recipe reads "tokenized"`);
  }
  const hash = isObject(model) ? model["templateHash"] : undefined;
  if (typeof hash !== "string") throw refused(`${join(folder, META)}: field model.templateHash is missing`);
  const sha256: Record<string, string> = {};
  for (const name of EXAMPLES) {
    try {
      sha256[name] = (await fileHash(join(folder, name), () => {}, signal)).sha256;
    } catch (cause) {
      if (signal.aborted) throw cause;
      // A small export may hold nothing out.
      if (name === "train.jsonl") throw refused(`${folder} is no export to train on: it has no ${name}`, cause);
    }
  }
  return { role: role === "user" || role === "assistant" ? role : null, templateHash: hash, sha256 };
}

function sentenceOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function refused(sentence: string, cause?: unknown): EngineError {
  return new EngineError("invalid_request", sentence, { param: "data" }, { cause });
}
