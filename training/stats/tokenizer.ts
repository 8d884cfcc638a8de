// Owns whose tokens are counted: those of a model folder, or of any folder with a tokenizer.json. It counts; it keeps no counts.
import { basename, join, resolve } from "node:path";
import { fileHash } from "../../runtime/importer/file-hash.ts";
import { loadTokenizer, type Tokenizer } from "../../runtime/text/tokenizer.ts";
import { tokenizerName } from "../../runtime/text/tokenizer-json.ts";
import { openModelText } from "../examples/model-text.ts";
import type { JobQualityOptions } from "../measures/job-quality.ts";

type NamedTokenizer = JobQualityOptions["tokenizer"];

/** Of a model folder. Throws EngineError("bad_model"). */
export async function tokenizerOfModel(folder: string): Promise<NamedTokenizer> {
  const { id, tokenizer, tokenizerSha256 } = await openModelText(folder);
  return named(id, tokenizerSha256, tokenizer);
}

/** Of a folder that has no more than a tokenizer. Throws EngineError("bad_model"). */
export async function tokenizerOfFolder(folder: string, signal: AbortSignal): Promise<NamedTokenizer> {
  const tokenizer = await loadTokenizer(folder);
  const { sha256 } = await fileHash(join(folder, tokenizerName), () => {}, signal);
  return named(basename(resolve(folder)), sha256, tokenizer);
}

/** Folders may be called alike: the content decides what compares with what. */
function named(name: string, sha256: string, tokenizer: Tokenizer): NamedTokenizer {
  return {
    name: `${name} (${sha256.slice(0, 12)})`,
    countTokens: (text) => tokenizer.encode([{ type: "plain", text }]).length,
  };
}
