// Frozen matrices in four or eight bits, as served models have them: their places in memory, how they are filled, and the
// product with one of them. Only a float's worth of a layer is ever unpacked at once.
// It knows blocks and bytes; which matrices are packed is decided elsewhere.
import type { Value } from "../../runtime/onnx/graph-builder.ts";
import { type Bits, blockLayout, dequantizeRows, quantizeRows } from "../../runtime/importer/quantize.ts";
import type { RowSource } from "../../runtime/importer/rows.ts";
import type { Session } from "../../runtime/ort/session.ts";
import { Tensor } from "../../runtime/ort/tensor.ts";
import { openCopier } from "../../runtime/engine/device-copier.ts";
import type { Tape } from "./autodiff.ts";
import type { Parameter } from "./parameters.ts";

/** Values that share a scale. */
export const BLOCK_SIZE = 32;
/** Values in memory as floats at once. */
const CHUNK_VALUES = 1 << 20;

/** The two graph inputs of a packed matrix. */
export interface PackedValues {
  /** uint8 [rows, bytesPerRow] */
  readonly packed: Value;
  /** float32 [rows, blocksPerRow] */
  readonly scales: Value;
  readonly rows: number;
  readonly columns: number;
  readonly bits: Bits;
}

export const packedName = (name: string): string => `${name}.packed`;
export const scalesName = (name: string): string => `${name}.scales`;

/** Whether a tensor can be packed: a matrix whose rows are whole blocks. */
export function isPackable({ shape }: Parameter): boolean {
  return shape.length === 2 && (shape[1] ?? 0) % BLOCK_SIZE === 0;
}

/** Bytes that the matrix takes. */
export function packedBytes({ shape: [rows = 0, columns = 0] }: Parameter, bits: Bits): number {
  const { bytesPerRow, blocksPerRow } = blockLayout(columns, bits, BLOCK_SIZE);
  return rows * (bytesPerRow + 4 * blocksPerRow);
}

/** input · weightᵀ + bias, with a matrix that is never trained. */
export function packedLinear(tape: Tape, input: Value, weight: PackedValues, bias: Value | null): Value {
  const { graph } = tape;
  const { packed, scales, rows, columns, bits } = weight;
  const { blocksPerRow } = blockLayout(columns, bits, BLOCK_SIZE);
  const blocks = graph.op("Reshape", [packed, graph.ints([rows, blocksPerRow, (BLOCK_SIZE * bits) / 8])]);
  const attributes = { K: columns, N: rows, bits, block_size: BLOCK_SIZE, accuracy_level: 0 };
  const [product] = graph.contrib(
    "MatMulNBits",
    [input, blocks, graph.op("Reshape", [scales, graph.ints([-1])])],
    1,
    attributes,
  );
  if (product === undefined) throw new Error("a product has one output");
  const output = bias === null ? product : graph.op("Add", [product, bias]);
  return tape.record(output, bias === null ? [input] : [input, bias], (gradient, sink) => {
    if (bias !== null) sink.add(bias, () => graph.op("ReduceSum", [gradient, graph.ints([0])], { keepdims: 0 }));
    sink.add(input, () => {
      const everyRow = graph.op("Range", [graph.ints(0), graph.ints(rows), graph.ints(1)]);
      // Not before the gradient is there: unpacked early, all layers would lie in memory as floats.
      const [whole] = graph.contrib("GatherBlockQuantized", [packed, everyRow, tape.after(scales, [gradient])], 1, {
        gather_axis: 0,
        quantize_axis: 1,
        block_size: BLOCK_SIZE,
        bits,
      });
      if (whole === undefined) throw new Error("a lookup has one output");
      return graph.op("Gemm", [gradient, whole]);
    });
  });
}

/** The bytes of packed matrices in a session's memory. */
export class PackedMatrices {
  readonly parameters: readonly Parameter[];
  readonly bits: Bits;
  readonly #session: Session;
  readonly #tensors = new Map<string, { readonly packed: Tensor; readonly scales: Tensor }>();

  /** Uninitialized. The session must outlive it. */
  constructor(session: Session, parameters: readonly Parameter[], bits: Bits) {
    this.parameters = parameters;
    this.bits = bits;
    this.#session = session;
    for (const { name, shape } of parameters) {
      const [rows = 0, columns = 0] = shape;
      const { bytesPerRow, blocksPerRow } = blockLayout(columns, bits, BLOCK_SIZE);
      this.#tensors.set(name, {
        packed: Tensor.allocate(session.memory, "uint8", [rows, bytesPerRow]),
        scales: Tensor.allocate(session.memory, "float32", [rows, blocksPerRow]),
      });
    }
  }

  tensors({ name }: Parameter): { readonly packed: Tensor; readonly scales: Tensor } {
    const found = this.#tensors.get(name);
    if (found === undefined) throw new Error(`parameter ${name} is not packed`);
    return found;
  }

  /** Quantizes a matrix, some rows at a time. */
  async fill(parameter: Parameter, source: RowSource): Promise<void> {
    const { packed, scales } = this.tensors(parameter);
    const { columns, rows } = source;
    const bytes = new Uint8Array(packed.byteLength);
    const factors = new Float32Array(scales.byteLength / 4);
    const { bytesPerRow, blocksPerRow } = blockLayout(columns, this.bits, BLOCK_SIZE);
    const rowsAtOnce = Math.max(1, Math.floor(CHUNK_VALUES / columns));
    for (let first = 0; first < rows; first += rowsAtOnce) {
      const count = Math.min(rowsAtOnce, rows - first);
      const values = new Float32Array(count * columns);
      await source.read(first, count, values);
      const ownBytes = bytes.subarray(first * bytesPerRow);
      quantizeRows(values, count, columns, this.bits, BLOCK_SIZE, ownBytes, factors.subarray(first * blocksPerRow));
    }
    await this.#copy(packed, bytes, true);
    await this.#copy(scales, new Uint8Array(factors.buffer), true);
  }

  /** The matrix as the network computes with it. */
  async values(parameter: Parameter): Promise<Float32Array> {
    const { packed, scales } = this.tensors(parameter);
    const [rows = 0, columns = 0] = parameter.shape;
    const bytes = new Uint8Array(packed.byteLength);
    const factors = new Float32Array(scales.byteLength / 4);
    await this.#copy(packed, bytes, false);
    await this.#copy(scales, new Uint8Array(factors.buffer), false);
    return dequantizeRows(bytes, factors, rows, columns, this.bits, BLOCK_SIZE);
  }

  release(): void {
    for (const { packed, scales } of this.#tensors.values()) {
      packed.release();
      scales.release();
    }
  }

  async #copy(tensor: Tensor, bytes: Uint8Array, isWriting: boolean): Promise<void> {
    if (tensor.memory.isHost) {
      if (isWriting) tensor.bytes.set(bytes);
      else bytes.set(tensor.bytes);
      return;
    }
    const { environment, device, host: memory } = this.#session;
    const copier = await openCopier(environment, device, tensor.element);
    const shape = [...tensor.shape, 1, 1];
    const host = Tensor.allocate(memory, tensor.element, shape);
    const there = tensor.view(0, shape);
    try {
      if (isWriting) host.bytes.set(bytes);
      await (isWriting ? copier.copy(host, there) : copier.copy(there, host));
      if (!isWriting) bytes.set(host.bytes);
    } finally {
      there.release();
      host.release();
      copier.release();
    }
  }
}
