// Runs an imported model.onnx in tests: feeds tokens to rows that keep their key-value cache, and hands back logits.
// Past and present are one buffer, bound as the engine binds them; unlike the engine it returns logits of any position.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { openSession } from "../../runtime/ort/session.ts";
import type { Session } from "../../runtime/ort/session.ts";
import { Tensor } from "../../runtime/ort/tensor.ts";

interface RunManifest {
  readonly network: {
    readonly layers: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly vocabSize: number;
  };
  readonly kvPrecision: "float32" | "float16";
}

/** An open model and its cache rows. Rows are numbered from 0; a run takes the first ones. */
export interface DecoderRun {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Appends `tokens[row]` to row `row` for as many rows as given, all equally many (several only for one row, or for
   * empty rows). Returns logits at `wanted` positions of the flattened batch, all of them by default.
   */
  feed(tokens: readonly (readonly number[])[], wanted?: readonly number[]): Promise<Float32Array[]>;
  /** Makes row `to` a copy of row `from`. */
  copyRow(from: number, to: number): void;
  /** Forgets every row's tokens. */
  reset(): void;
  close(): void;
}

export interface DecoderRunOptions {
  readonly rows?: number;
  readonly maxLength?: number;
  readonly threads?: number;
}

/** Opens `<folder>/model.onnx` on the CPU. */
export async function openDecoderRun(folder: string, options: DecoderRunOptions = {}): Promise<DecoderRun> {
  const { rows = 1, maxLength = 64, threads = 2 } = options;
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as RunManifest;
  const environment = openEnvironment({ threads });
  const device = chooseDevice(environment.api, "cpu", "float32", () => {});
  const session = await openSession(environment, device, { path: join(folder, "model.onnx") });
  const { layers, kvHeads, headDim, vocabSize } = manifest.network;
  const cache = new Map<string, Tensor>();
  for (let layer = 0; layer < layers; layer++) {
    for (const part of ["key", "value"]) {
      const tensor = Tensor.allocate(session.memory, manifest.kvPrecision, [rows, kvHeads, maxLength, headDim]);
      // Whatever lies behind a row's length must not matter: NaN would show it (0xff… is NaN in both types).
      tensor.bytes.fill(0xff);
      cache.set(`${layer}.${part}`, tensor);
    }
  }
  const lengths = Array.from({ length: rows }, () => 0);

  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async feed(tokens, wanted) {
      const count = tokens[0]?.length ?? 0;
      for (const row of tokens.keys()) lengths[row] = (lengths[row] ?? 0) + count;
      const totals = lengths.slice(0, tokens.length);
      const positions = wanted ?? Array.from({ length: tokens.length * count }, (_, index) => index);
      const scope = new Scope(session);
      try {
        scope.input("input_ids", "int64", [tokens.length, count]).int64().set(tokens.flat().map(BigInt));
        scope
          .input("seqlens_k", "int32", [tokens.length])
          .int32()
          .set(totals.map((total) => total - 1));
        scope
          .input("total_sequence_length", "int32", [])
          .int32()
          .set([Math.max(...totals)]);
        scope.input("logit_rows", "int64", [positions.length]).int64().set(positions.map(BigInt));
        for (const [name, tensor] of cache) scope.cache(name, tensor, [tokens.length, kvHeads, maxLength, headDim]);
        const logits = scope.output("logits", [positions.length, vocabSize]);
        await session.run(scope.binding);
        const all = logits.float32().slice();
        return positions.map((_, row) => all.subarray(row * vocabSize, (row + 1) * vocabSize));
      } finally {
        scope.release();
      }
    },
    copyRow(from, to) {
      for (const tensor of cache.values()) {
        const rowBytes = tensor.byteLength / rows;
        tensor.bytes.copyWithin(to * rowBytes, from * rowBytes, (from + 1) * rowBytes);
      }
      lengths[to] = lengths[from] ?? 0;
    },
    reset() {
      lengths.fill(0);
    },
    close() {
      for (const tensor of cache.values()) tensor.release();
      session.release();
      environment.release();
    },
  };
}

/** The values of one run, released together. */
class Scope {
  readonly binding;
  readonly #session: Session;
  readonly #tensors: Tensor[] = [];

  constructor(session: Session) {
    this.#session = session;
    this.binding = session.createBinding();
  }

  input(name: string, element: "int32" | "int64", shape: readonly number[]): Tensor {
    const tensor = this.#keep(Tensor.allocate(this.#session.host, element, shape));
    this.binding.input(name, tensor);
    return tensor;
  }

  output(name: string, shape: readonly number[]): Tensor {
    const tensor = this.#keep(Tensor.allocate(this.#session.host, "float32", shape));
    this.binding.output(name, tensor);
    return tensor;
  }

  cache(name: string, tensor: Tensor, shape: readonly number[]): void {
    const view = this.#keep(tensor.view(0, shape));
    this.binding.input(`past_key_values.${name}`, view);
    this.binding.output(`present.${name}`, view);
  }

  release(): void {
    this.binding.release();
    for (const tensor of this.#tensors) tensor.release();
  }

  #keep(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }
}
