// Checkpoint folders for tests: the recorded ones, copies that a test may break, and safetensors files written here.
// Imports go into a temporary folder that vanishes with the test file.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { importCheckpoint } from "../../runtime/importer/import-checkpoint.ts";
import type { ImportOptions } from "../../runtime/importer/import-checkpoint.ts";

export const RECORDED = ["llama3", "smollm2", "llama-bias", "mistral", "qwen2", "qwen3"] as const;

export type Recorded = (typeof RECORDED)[number];

/** A folder of test/fixtures/checkpoints. */
export function recordedFolder(name: Recorded): string {
  return fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));
}

/** Hugging Face's logits for every position of every prompt, one after the other. */
export async function recordedLogits(name: Recorded): Promise<{ prompts: number[][]; logits: Float32Array[] }> {
  const prompts = JSON.parse(await readFile(join(recordedFolder(name), "../prompts.json"), "utf8")) as number[][];
  const bytes = await readFile(join(recordedFolder(name), "logits.f32"));
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const positions = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  const width = all.length / positions;
  return {
    prompts,
    logits: Array.from({ length: positions }, (_, index) => all.subarray(index * width, (index + 1) * width)),
  };
}

/** A new empty folder, removed after the test file. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "importer-test-"));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of a recorded checkpoint that may be changed. */
export async function copyOf(name: Recorded, parent: string, copyName: string): Promise<string> {
  const folder = join(parent, copyName);
  await cp(recordedFolder(name), folder, { recursive: true });
  return folder;
}

/** Changes fields of a JSON file; undefined removes one. */
export async function editJson(path: string, change: Readonly<Record<string, unknown>>): Promise<void> {
  const json = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...json, ...change }));
}

/** Options that import `source` as a float32 user model into `outFolder`. */
export function importOptions(source: string, outFolder: string, change: Partial<ImportOptions> = {}): ImportOptions {
  return {
    source,
    outFolder,
    id: "imported",
    role: "user",
    precision: "float32",
    headPrecision: null,
    kvPrecision: null,
    blockSize: 32,
    accuracyLevel: null,
    contextWindow: null,
    endOfConversation: null,
    responseRole: null,
    isBatchInvariant: false,
    licence: "MIT",
    provenance: "made for tests",
    baseModel: null,
    createdAt: new Date("2026-01-02T03:04:05Z"),
    isReplacing: false,
    ...change,
  };
}

/** Imports and resolves to the model folder. */
export function importQuietly(options: ImportOptions): Promise<string> {
  return importCheckpoint(options, () => {}, new AbortController().signal);
}

export interface TestTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export function float32Tensor(shape: readonly number[], values: Float32Array): TestTensor {
  return { dtype: "F32", shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** The header of a safetensors file whose tensors lie one behind the other. */
export function safetensorsHeader(tensors: Readonly<Record<string, TestTensor>>): Record<string, unknown> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  return header;
}

/** A safetensors file; another header than the right one may be given. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, TestTensor>>,
  header: unknown = safetensorsHeader(tensors),
): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

/** Parses a safetensors file without checking anything. */
export function readSafetensors(file: Uint8Array): Record<string, TestTensor> {
  const view = new DataView(file.buffer, file.byteOffset);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: file.slice(start + begin, start + end) }],
      ),
  );
}
