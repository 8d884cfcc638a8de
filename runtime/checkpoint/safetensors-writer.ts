// Writes a safetensors file of float32 tensors, a bounded piece at a time, in the order given.
// It knows the file format, not what a tensor means.
import { open } from "node:fs/promises";
import { CHUNK_VALUES } from "../importer/weight-plan.ts";
import type { NamedTensor } from "./checkpoint-tensors.ts";

const LENGTH_BYTES = 8;
/** Readers map the data: it begins at a multiple of this. */
const ALIGNMENT_BYTES = 8;
const VALUE_BYTES = 4;

/** Writes the file and flushes it to the disk. Stops between two pieces when the signal is aborted. */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  onValues: (values: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(headerOf(tensors));
    for (const { source } of tensors) {
      const { rows, columns } = source;
      const rowsAtOnce = Math.min(rows, Math.max(1, Math.floor(CHUNK_VALUES / columns)));
      for (let first = 0; first < rows; first += rowsAtOnce) {
        signal.throwIfAborted();
        const count = Math.min(rowsAtOnce, rows - first);
        const values = new Float32Array(count * columns);
        await source.read(first, count, values);
        await file.writeFile(new Uint8Array(values.buffer));
        onValues(values.length);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function headerOf(tensors: readonly NamedTensor[]): Uint8Array {
  let end = 0;
  // transformers refuses a file that does not say how its tensors are laid out.
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const { name, isVector, source } of tensors) {
    const begin = end;
    end += source.rows * source.columns * VALUE_BYTES;
    const shape = isVector ? [source.rows] : [source.rows, source.columns];
    header[name] = { dtype: "F32", shape, data_offsets: [begin, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20, LENGTH_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}
