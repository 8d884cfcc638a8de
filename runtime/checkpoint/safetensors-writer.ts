// Writes a safetensors file of one type of numbers, a bounded piece at a time, in the order given.
// It knows the file format, not what a tensor means.
import { open } from "node:fs/promises";
import { type FloatType, VALUE_BYTES } from "../importer/safetensors.ts";
import { CHUNK_VALUES } from "../importer/weight-plan.ts";
import type { NamedTensor } from "./checkpoint-tensors.ts";

const LENGTH_BYTES = 8;
/** Readers map the data: it begins at a multiple of this. */
const ALIGNMENT_BYTES = 8;

export interface SafetensorsOptions {
  readonly type: FloatType;
  /** What the file says about itself beside how its tensors are laid out. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly onValues?: (values: number) => void;
  readonly signal?: AbortSignal;
}

/** Writes the file and flushes it to the disk. Stops between two pieces when the signal is aborted. */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  { type, metadata = {}, onValues = () => {}, signal }: SafetensorsOptions,
): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(headerOf(tensors, type, metadata));
    for (const { source } of tensors) {
      const { rows, columns } = source;
      const rowsAtOnce = Math.min(rows, Math.max(1, Math.floor(CHUNK_VALUES / columns)));
      for (let first = 0; first < rows; first += rowsAtOnce) {
        signal?.throwIfAborted();
        const count = Math.min(rowsAtOnce, rows - first);
        const values = new Float32Array(count * columns);
        await source.read(first, count, values);
        await file.writeFile(encodeFloats(type, values));
        onValues(values.length);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Values as little-endian bytes; bfloat16 is rounded to the nearest, ties to even. */
function encodeFloats(type: FloatType, values: Float32Array): Uint8Array {
  if (type === "F32") return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (type === "F16") return new Uint8Array(Float16Array.from(values).buffer);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = Uint16Array.from(words, (word) => {
    // What is no number must not be rounded to infinity.
    const isNan = (word & 0x7fffffff) > 0x7f800000;
    return isNan ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  });
  return new Uint8Array(halves.buffer);
}

function headerOf(
  tensors: readonly NamedTensor[],
  type: FloatType,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let end = 0;
  // transformers refuses a file that does not say how its tensors are laid out.
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  for (const { name, isVector, source } of tensors) {
    const begin = end;
    end += source.rows * source.columns * VALUE_BYTES[type];
    const shape = isVector ? [source.rows] : [source.rows, source.columns];
    header[name] = { dtype: type, shape, data_offsets: [begin, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20, LENGTH_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}
