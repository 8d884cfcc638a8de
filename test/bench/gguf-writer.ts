// The GGUF file format, version 3, as much of it as a quantized decoder needs: metadata, tensor table, Q4_0 and Q8_0 rows.
// Pure encoding; which tensors a network has is gguf-checkpoint.ts.

export type GgufType = "F32" | "Q4_0" | "Q8_0";

export type GgufValue =
  | { readonly type: "uint32"; readonly value: number }
  | { readonly type: "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "float32s"; readonly value: readonly number[] }
  | { readonly type: "int32s"; readonly value: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  /** Outermost first; the file has them the other way round. */
  readonly shape: readonly number[];
  readonly type: GgufType;
}

const GGUF_BLOCK = 32;
const ALIGNMENT = 32;
const TENSOR_CODES: Readonly<Record<GgufType, number>> = { F32: 0, Q4_0: 2, Q8_0: 8 };
const BLOCK_BYTES = { Q4_0: 18, Q8_0: 34 } as const;
const CODE = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** Bytes of one row of `columns` values. */
function rowBytes(type: GgufType, columns: number): number {
  return type === "F32" ? columns * 4 : (columns / GGUF_BLOCK) * BLOCK_BYTES[type];
}

/** Bytes of a tensor's data, the padding behind it included. */
export function tensorBytes({ type, shape }: GgufTensor): number {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return align(rows * rowBytes(type, columns));
}

/** Everything before the tensors' data; those follow in the order given, each padded as `tensorBytes` says. */
export function encodeHeader(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Uint8Array {
  const writer = new Bytes();
  writer.text("GGUF");
  writer.u32(3).u64(tensors.length).u64(metadata.size);
  for (const [key, value] of metadata) {
    writer.string(key);
    writeValue(writer, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name).u32(tensor.shape.length);
    for (const size of tensor.shape.toReversed()) writer.u64(size);
    writer.u32(TENSOR_CODES[tensor.type]).u64(offset);
    offset += tensorBytes(tensor);
  }
  return writer.padded(ALIGNMENT);
}

/** Encodes whole rows; `values.length` is a multiple of the block for the quantized types. */
export function encodeValues(type: GgufType, values: Float32Array): Uint8Array {
  if (type === "F32") return new Uint8Array(values.slice().buffer);
  const bytes = new Uint8Array(rowBytes(type, values.length));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block * GGUF_BLOCK < values.length; block += 1) {
    if (type === "Q8_0") encodeQ8(values, block, view);
    else encodeQ4(values, block, view);
  }
  return bytes;
}

function encodeQ8(values: Float32Array, block: number, view: DataView): void {
  const start = block * GGUF_BLOCK;
  const at = block * BLOCK_BYTES.Q8_0;
  const scale = Math.abs(extremeOf(values, start)) / 127;
  const inverse = scale === 0 ? 0 : 1 / scale;
  view.setFloat16(at, scale, true);
  for (let i = 0; i < GGUF_BLOCK; i += 1) view.setInt8(at + 2 + i, Math.round(values[start + i]! * inverse));
}

/** The first half of a block lies in the low halves of its bytes, the second in the high ones. */
function encodeQ4(values: Float32Array, block: number, view: DataView): void {
  const start = block * GGUF_BLOCK;
  const at = block * BLOCK_BYTES.Q4_0;
  const scale = extremeOf(values, start) / -8;
  const inverse = scale === 0 ? 0 : 1 / scale;
  view.setFloat16(at, scale, true);
  const level = (index: number): number => Math.max(0, Math.min(15, Math.round(values[index]! * inverse) + 8));
  const half = GGUF_BLOCK / 2;
  for (let i = 0; i < half; i += 1) view.setUint8(at + 2 + i, level(start + i) | (level(start + half + i) << 4));
}

function extremeOf(values: Float32Array, start: number): number {
  let extreme = 0;
  for (let i = start; i < start + GGUF_BLOCK; i += 1) {
    if (Math.abs(values[i]!) > Math.abs(extreme)) extreme = values[i]!;
  }
  return extreme;
}

function writeValue(writer: Bytes, value: GgufValue): void {
  switch (value.type) {
    case "uint32":
      writer.u32(CODE.uint32).u32(value.value);
      return;
    case "float32":
      writer.u32(CODE.float32).f32(value.value);
      return;
    case "bool":
      writer.u32(CODE.bool).u8(value.value ? 1 : 0);
      return;
    case "string":
      writer.u32(CODE.string).string(value.value);
      return;
    case "strings":
      writer.u32(CODE.array).u32(CODE.string).u64(value.value.length);
      for (const item of value.value) writer.string(item);
      return;
    case "float32s":
      writer.u32(CODE.array).u32(CODE.float32).u64(value.value.length);
      for (const item of value.value) writer.f32(item);
      return;
    case "int32s":
      writer.u32(CODE.array).u32(CODE.int32).u64(value.value.length);
      for (const item of value.value) writer.u32(item);
      return;
    default:
      throw new Error(`unknown metadata type ${String(value satisfies never)}`);
  }
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** A growing little-endian buffer. */
class Bytes {
  #buffer = Buffer.alloc(1 << 16);
  #length = 0;

  u8(value: number): this {
    const at = this.#take(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#take(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  f32(value: number): this {
    const at = this.#take(4);
    this.#buffer.writeFloatLE(value, at);
    return this;
  }

  u64(value: number): this {
    const at = this.#take(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
    return this;
  }

  text(value: string): this {
    const at = this.#take(Buffer.byteLength(value));
    this.#buffer.write(value, at);
    return this;
  }

  string(value: string): this {
    return this.u64(Buffer.byteLength(value)).text(value);
  }

  /** Everything written, filled up with zeros to a multiple of `multiple`. */
  padded(multiple: number): Uint8Array {
    this.#take(Math.ceil(this.#length / multiple) * multiple - this.#length);
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }

  #take(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.alloc(this.#length * 2);
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }
}
