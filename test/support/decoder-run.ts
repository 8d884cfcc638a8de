// Runs an imported model.onnx in tests: feeds tokens, keeps the key-value cache, hands back logits.
// Past and present are separate tensors here, unlike in the engine; the graph is the same.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { float32Output, int32s, int64s, openSession } from "./onnx-session.ts";
import type { TensorData, TestSession } from "./onnx-session.ts";

interface Network {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
}

/** One open model and the cache of `batch` rows. */
export interface DecoderRun {
  readonly vocabSize: number;
  /**
   * Appends `tokens[row]` to every row (all equally many) and returns the logits at `wanted` positions of the flattened
   * batch, all of them by default.
   */
  feed(tokens: readonly (readonly number[])[], wanted?: readonly number[]): Promise<Float32Array[]>;
  /** Forgets everything; `batch` rows of which row r already holds lengths[r] tokens of the old row from[r]. */
  select(from: readonly number[], lengths: readonly number[]): void;
  /** Starts again with `batch` empty rows. */
  reset(batch: number): void;
  close(): Promise<void>;
}

/** Opens `<folder>/model.onnx` with a cache of `maxLength` positions a row. */
export async function openDecoder(folder: string, maxLength: number, threads = 1): Promise<DecoderRun> {
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as {
    readonly network: Network;
    readonly kvPrecision: "float32" | "float16";
  };
  const session = await openSession(join(folder, "model.onnx"), threads);
  return new Decoder(session, manifest.network, manifest.kvPrecision, maxLength);
}

class Decoder implements DecoderRun {
  readonly vocabSize: number;
  readonly #session: TestSession;
  readonly #network: Network;
  readonly #type: "float32" | "float16";
  readonly #maxLength: number;
  #cache = new Map<string, TensorData>();
  #lengths: number[] = [];

  constructor(session: TestSession, network: Network, type: "float32" | "float16", maxLength: number) {
    this.#session = session;
    this.#network = network;
    this.#type = type;
    this.#maxLength = maxLength;
    this.vocabSize = network.vocabSize;
    this.reset(1);
  }

  reset(batch: number): void {
    this.#lengths = Array.from({ length: batch }, () => 0);
    this.#cache = new Map();
    const { layers, kvHeads, headDim } = this.#network;
    const dims = [batch, kvHeads, this.#maxLength, headDim];
    const size = dims.reduce((product, value) => product * value, 1);
    for (let layer = 0; layer < layers; layer++) {
      for (const part of ["key", "value"]) {
        const tensor: TensorData =
          this.#type === "float32"
            ? { type: "float32", dims, data: new Float32Array(size) }
            : { type: "float16", dims, data: new Float16Array(size) };
        this.#cache.set(`${layer}.${part}`, tensor);
      }
    }
  }

  select(from: readonly number[], lengths: readonly number[]): void {
    this.#lengths = [...lengths];
    for (const [name, tensor] of this.#cache) {
      if (tensor.type !== "float32") throw new Error("select is written for float32 caches");
      const [, ...rest] = tensor.dims;
      const rowSize = rest.reduce((product, value) => product * value, 1);
      const data = new Float32Array(from.length * rowSize);
      for (const [row, old] of from.entries()) {
        data.set(tensor.data.subarray(old * rowSize, (old + 1) * rowSize), row * rowSize);
      }
      this.#cache.set(name, { type: "float32", dims: [from.length, ...rest], data });
    }
  }

  async feed(tokens: readonly (readonly number[])[], wanted?: readonly number[]): Promise<Float32Array[]> {
    const sequence = tokens[0]?.length ?? 0;
    const totals = this.#lengths.map((length) => length + sequence);
    const rows = wanted ?? Array.from({ length: tokens.length * sequence }, (_, index) => index);
    const outputs = await this.#session.run({
      input_ids: int64s(tokens.flat(), [tokens.length, sequence]),
      seqlens_k: int32s(totals.map((total) => total - 1)),
      total_sequence_length: int32s([Math.max(...totals)], []),
      logit_rows: int64s(rows),
      ...Object.fromEntries([...this.#cache].map(([name, tensor]) => [`past_key_values.${name}`, tensor])),
    });
    for (const name of this.#cache.keys()) {
      const present = outputs.get(`present.${name}`);
      if (present === undefined) throw new Error(`the graph has no output present.${name}`);
      this.#cache.set(name, present);
    }
    this.#lengths = totals;
    const logits = float32Output(outputs, "logits");
    return rows.map((_, row) => logits.slice(row * this.vocabSize, (row + 1) * this.vocabSize));
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
