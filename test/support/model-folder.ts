// Writes model folders for tests: the tiny tokenizer and template, a manifest with true checksums, no network.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelRole } from "../../runtime/chat-model.ts";
import { tiny, tinyTemplate, tinyTokenizerJson } from "./tokenizers.ts";

export interface ModelFolderOptions {
  readonly id?: string;
  readonly role?: ModelRole;
  /** Whose turn the template opens; the role's own when left out. */
  readonly opens?: ModelRole;
  /** Files beside the usual ones, or instead of them; null leaves one out. */
  readonly files?: Readonly<Record<string, string | null>>;
  /** Fields of the manifest beside the usual ones, or instead of them. */
  readonly manifest?: Readonly<Record<string, unknown>>;
}

export const tinyVocabSize = 320;

/** Writes a folder whose manifest is right unless told otherwise; resolves to its path. */
export async function writeModelFolder(folder: string, options: ModelFolderOptions = {}): Promise<string> {
  const { id = "tiny", role = "user", opens = role } = options;
  await mkdir(folder, { recursive: true });
  const config = { bos_token: "<|begin|>", eos_token: "<|end|>", chat_template: tinyTemplate(opens) };
  const files: Record<string, string | null> = {
    "model.onnx": "no network",
    "tokenizer.json": JSON.stringify(tinyTokenizerJson()),
    "tokenizer_config.json": JSON.stringify(config),
    "generation_config.json": JSON.stringify({ temperature: 0.8, top_p: 0.95, do_sample: true }),
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    if (content !== null) await writeFile(join(folder, name), content);
  }
  const manifest = { ...manifestJson(id, role), files: await describeFiles(folder), ...options.manifest };
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest, null, 2));
  return folder;
}

/** A manifest without its files. */
export function manifestJson(id = "tiny", role: ModelRole = "user"): Record<string, unknown> {
  return {
    schema: 1,
    id,
    role,
    format: "realchat-decoder-1",
    architecture: "llama",
    precision: "int8",
    kvPrecision: "float32",
    contextWindow: 64,
    createdAt: "2026-01-02T03:04:05.678Z",
    network: { layers: 1, heads: 2, kvHeads: 1, headDim: 16, hiddenSize: 32, vocabSize: tinyVocabSize },
    tokens: { stopIds: [tiny.end, tiny.bye], endOfConversationId: tiny.bye, bosId: tiny.begin, padId: null },
    licence: "Apache-2.0",
    provenance: { source: "written by a test" },
  };
}

async function describeFiles(folder: string): Promise<Record<string, unknown>> {
  const files: Record<string, unknown> = {};
  for (const name of (await readdir(folder)).filter((entry) => entry !== "manifest.json").toSorted()) {
    const content = await readFile(join(folder, name));
    files[name] = { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
  }
  return files;
}
