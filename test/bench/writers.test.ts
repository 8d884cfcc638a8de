// The bench's own files on a shape small enough for a test: what one writer wrote, independent readers must understand.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { importCheckpoint } from "../../runtime/importer/import-checkpoint.ts";
import { openSafetensors } from "../../runtime/importer/safetensors.ts";
import { writeCheckpoint, tensorSpecs } from "./checkpoint-writer.ts";
import { ggufName, sourceRow, writeGguf } from "./gguf-checkpoint.ts";
import { encodeValues } from "./gguf-writer.ts";
import { openRunnerProcess } from "./runner-process.ts";
import type { NetworkSizes } from "./shapes.ts";
import { rewriteGraph } from "./transformers-export.ts";

const SIZES: NetworkSizes = {
  architecture: "llama",
  hiddenSize: 64,
  intermediateSize: 96,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  vocabSize: 512,
  ropeTheta: 10_000,
};
const WINDOW = 128;
let folder: string;
let checkpoint: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "realchat-bench-"));
  checkpoint = join(folder, "checkpoint");
  await writeCheckpoint(checkpoint, SIZES, WINDOW, 7);
  await importModel();
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function importModel(): Promise<void> {
  await importCheckpoint(
    {
      source: checkpoint,
      id: "model",
      role: "assistant",
      precision: "int4",
      headPrecision: null,
      kvPrecision: null,
      blockSize: 32,
      accuracyLevel: null,
      outFolder: folder,
      contextWindow: null,
      endOfConversation: null,
      responseRole: null,
      isBatchInvariant: false,
      licence: "Apache-2.0",
      provenance: "random weights",
      baseModel: null,
      createdAt: new Date(0),
      isReplacing: true,
    },
    () => {},
    new AbortController().signal,
  );
}

it("a checkpoint depends on its sizes and seed alone", async () => {
  const weights = await readFile(join(checkpoint, "model.safetensors"));
  for (const [seed, isSame] of [
    [7, true],
    [8, false],
  ] as const) {
    const other = join(folder, `seed-${seed}`);
    await writeCheckpoint(other, SIZES, WINDOW, seed);
    expect(weights.equals(await readFile(join(other, "model.safetensors")))).toBe(isSame);
  }
});

it("a checkpoint's matrices are spread like a trained network's, and its norms are constant", async () => {
  const file = await openSafetensors(join(checkpoint, "model.safetensors"));
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = file.tensors.get(name)!;
    const values = new Float32Array(tensor.lengthBytes / 2);
    await file.readValues(tensor, 0, values);
    return values;
  };
  const embedding = await read("model.embed_tokens.weight");
  const variance = embedding.reduce((sum, value) => sum + value * value, 0) / embedding.length;
  expect(Math.sqrt(variance)).toBeGreaterThan(0.018);
  expect(Math.sqrt(variance)).toBeLessThan(0.022);
  expect(new Set(await read("model.layers.1.input_layernorm.weight"))).toEqual(new Set([1]));
  await file.close();
});

it("a GGUF file holds every tensor at its aligned place, shapes innermost first", async () => {
  const path = join(folder, "model.gguf");
  await writeGguf(checkpoint, path, SIZES, WINDOW, "Q4_0");
  const { tensors, dataStart, size, text } = readGguf(await readFile(path));
  expect(text.get("general.architecture")).toBe("llama");
  expect(text.get("llama.block_count")).toBe(SIZES.layers);
  expect(text.get("tokenizer.ggml.tokens")).toBe(SIZES.vocabSize);
  expect(tensors.map(({ name }) => name)).toEqual(tensorSpecs(SIZES).map(({ name }) => ggufName(name)));
  expect(tensors[0]).toMatchObject({ name: "token_embd.weight", dims: [64, 512], type: 2, offset: 0 });
  expect(tensors.find(({ name }) => name === "blk.1.ffn_down.weight")?.dims).toEqual([96, 64]);
  let end = 0;
  for (const { dims, type, offset } of tensors) {
    expect(offset).toBe(end);
    const values = dims.reduce((product, dim) => product * dim, 1);
    end += Math.ceil((type === 0 ? values * 4 : (values / 32) * 18) / 32) * 32;
  }
  expect(dataStart % 32).toBe(0);
  expect(dataStart + end).toBe(size);
});

it("Q4_0 and Q8_0 blocks give back what was put in, to half a step", () => {
  const values = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index * 1.7) * (index < 32 ? 1 : 0.01));
  const q4 = encodeValues("Q4_0", values);
  const q8 = encodeValues("Q8_0", values);
  expect([q4.length, q8.length]).toEqual([2 * 18, 2 * 34]);
  for (const [index, value] of values.entries()) {
    const block = Math.floor(index / 32);
    const at = index % 32;
    const view4 = new DataView(q4.buffer, block * 18, 18);
    const byte = view4.getUint8(2 + (at % 16));
    const scale4 = view4.getFloat16(0, true);
    const step4 = Math.abs(scale4);
    // The range is lopsided: its far end may be a whole step away.
    expect(Math.abs(((at < 16 ? byte & 15 : byte >> 4) - 8) * scale4 - value)).toBeLessThanOrEqual(step4 * 1.001);
    const view8 = new DataView(q8.buffer, block * 34, 34);
    const scale8 = view8.getFloat16(0, true);
    expect(Math.abs(view8.getInt8(2 + at) * scale8 - value)).toBeLessThanOrEqual(scale8 * 0.57);
  }
});

it("rotated rows are taken from the two halves of a head in turn, each once", () => {
  const rows = Array.from({ length: 32 }, (_, row) => sourceRow(row, 16));
  expect(rows.slice(0, 4)).toEqual([0, 8, 1, 9]);
  expect(rows.slice(16, 18)).toEqual([16, 24]);
  expect(rows.toSorted((a, b) => a - b)).toEqual([...rows.keys()]);
});

it("the graph for transformers has that library's inputs and gives the logits of the last position", async () => {
  const model = await readFile(join(folder, "model", "model.onnx"));
  const path = join(folder, "model", "adapted.onnx");
  await writeFile(path, rewriteGraph(model, SIZES));
  const session = await InferenceSession.create(path, { logSeverityLevel: 3 });
  const cacheNames = [0, 1].flatMap((layer) => [`past_key_values.${layer}.key`, `past_key_values.${layer}.value`]);
  expect(session.inputNames.toSorted()).toEqual(["attention_mask", "input_ids", ...cacheNames]);
  expect(session.outputNames).toContain("logits");
  const ids = [300, 301, 302, 303, 304];
  const feed = async (tokens: readonly number[], past: number, cache: Record<string, Tensor>) => {
    const outputs = await session.run({
      input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      attention_mask: new Tensor("int64", new BigInt64Array(past + tokens.length).fill(1n), [1, past + tokens.length]),
      ...cache,
    });
    const grown = cacheNames.map((name) => [name, outputs[name.replace("past_key_values", "present")]!] as const);
    return { logits: outputs["logits"]!, cache: Object.fromEntries(grown) };
  };
  const empty = Object.fromEntries(cacheNames.map((name) => [name, new Tensor("float32", [], [1, 2, 0, 16])]));
  const whole = await feed(ids, 0, empty);
  expect(whole.logits.dims).toEqual([1, 1, SIZES.vocabSize]);
  const begun = await feed(ids.slice(0, 3), 0, empty);
  const continued = await feed(ids.slice(3), 3, begun.cache);
  expect(continued.cache["past_key_values.0.key"]!.dims).toEqual([1, 2, 5, 16]);
  const expected = whole.logits.data as Float32Array;
  const got = continued.logits.data as Float32Array;
  expect(Math.max(...got.map((value, id) => Math.abs(value - expected[id]!)))).toBeLessThan(1e-3);
  await session.release();
});

it("our runner, in a process of its own, takes steps within its time, from the same length every time", async () => {
  const artifacts = { modelFolder: join(folder, "model"), transformersFolder: "", ggufPath: "" };
  const options = { artifacts, sizes: SIZES, windowTokens: WINDOW, threads: 2, opponentsFolder: "" };
  const runner = await openRunnerProcess("realchat", options);
  await expect(runner.decode(0)).rejects.toThrow("nothing is prepared");
  await runner.prepareDecode(2, 16);
  expect((await runner.decode(0)).length).toBe(2);
  expect((await runner.decode(20)).every((ms) => ms > 0)).toBe(true);
  const short = await runner.prefill(48, 16);
  const long = await runner.prefill(48, 48);
  expect(short.nextId).toBe(long.nextId);
  await runner.close();
});

it("a runner whose packages are missing says so, and its process ends", async () => {
  const artifacts = { modelFolder: "", transformersFolder: "", ggufPath: "" };
  const options = { artifacts, sizes: SIZES, windowTokens: WINDOW, threads: 2, opponentsFolder: join(folder, "none") };
  await expect(openRunnerProcess("llama.cpp", options)).rejects.toThrow(/node-llama-cpp/);
});

interface GgufFile {
  readonly text: Map<string, unknown>;
  readonly tensors: { name: string; dims: number[]; type: number; offset: number }[];
  readonly dataStart: number;
  readonly size: number;
}

/** Follows the format's description, not the writer. Arrays are read as their length. */
function readGguf(bytes: Buffer): GgufFile {
  let at = 4;
  const u32 = (): number => bytes.readUInt32LE((at += 4) - 4);
  const u64 = (): number => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const string = (): string => {
    const length = u64();
    return bytes.toString("utf8", at, (at += length));
  };
  const value = (type: number): unknown => {
    if (type === 4 || type === 5) return u32();
    if (type === 6) return bytes.readFloatLE((at += 4) - 4);
    if (type === 7) return bytes[at++] === 1;
    if (type === 8) return string();
    const [inner, count] = [u32(), u64()];
    for (let index = 0; index < count; index += 1) value(inner);
    return count;
  };
  expect(bytes.toString("latin1", 0, 4)).toBe("GGUF");
  expect(u32()).toBe(3);
  const [tensorCount, entryCount] = [u64(), u64()];
  const text = new Map<string, unknown>();
  for (let index = 0; index < entryCount; index += 1) {
    const key = string();
    text.set(key, value(u32()));
  }
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = string();
    const dims = Array.from({ length: u32() }, u64);
    return { name, dims, type: u32(), offset: u64() };
  });
  return { text, tensors, dataStart: Math.ceil(at / 32) * 32, size: bytes.length };
}
