// The data file beside a graph: first a plan of which bytes go where, then the writing, a bounded piece at a time.
// Offsets are known before any weight is read, so the graph can be built first and scales written beside their values.
// It knows encodings and places, not what a tensor means.
import type { ExternalData } from "../onnx/proto.ts";
import { blockLayout, quantizeRows } from "./quantize.ts";
import type { Bits } from "./quantize.ts";
import type { RowSource } from "./rows.ts";

/** Values that are in memory at once: 4 MiB as float32, and as much again or less for their encoding. */
export const CHUNK_VALUES = 1 << 20;
/** Large tensors start on a memory page, so that they can be mapped instead of read. */
const PAGE_BYTES = 4096;
const LINE_BYTES = 64;

export type WeightType = "float32" | "float16";

/** A quantized matrix: its packed values and one scale a block. */
export interface QuantizedRegions {
  readonly packed: ExternalData;
  readonly scales: ExternalData;
}

interface FloatJob {
  readonly source: RowSource;
  readonly type: WeightType;
  readonly region: ExternalData;
}

interface BlockJob extends QuantizedRegions {
  readonly source: RowSource;
  readonly bits: Bits;
  readonly blockSize: number;
  readonly scaleType: WeightType;
}

/** Where the bytes go; a FileHandle is one. */
export interface PositionedWriter {
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
}

export class WeightPlan {
  readonly #location: string;
  readonly #jobs: (FloatJob | BlockJob)[] = [];
  #endBytes = 0;

  /** `location` is the data file's name as the graph will know it. */
  constructor(location: string) {
    this.#location = location;
  }

  /** Values that will be read, for progress. */
  get totalValues(): number {
    return this.#jobs.reduce((sum, { source }) => sum + source.rows * source.columns, 0);
  }

  float(source: RowSource, type: WeightType): ExternalData {
    const region = this.#reserve(source.rows * source.columns * bytesOf(type));
    this.#jobs.push({ source, type, region });
    return region;
  }

  quantized(source: RowSource, bits: Bits, blockSize: number, scaleType: WeightType): QuantizedRegions {
    const { blocksPerRow, bytesPerRow } = blockLayout(source.columns, bits, blockSize);
    const packed = this.#reserve(source.rows * bytesPerRow);
    const scales = this.#reserve(source.rows * blocksPerRow * bytesOf(scaleType));
    this.#jobs.push({ source, bits, blockSize, scaleType, packed, scales });
    return { packed, scales };
  }

  /** Reads every source once and writes it. Stops between two pieces when the signal is aborted. */
  async write(file: PositionedWriter, onValues: (values: number) => void, signal: AbortSignal): Promise<void> {
    const chunk = new Float32Array(Math.max(CHUNK_VALUES, ...this.#jobs.map(({ source }) => source.columns)));
    for (const job of this.#jobs) {
      const { rows, columns } = job.source;
      const rowsPerChunk = Math.max(1, Math.floor(CHUNK_VALUES / columns));
      for (let first = 0; first < rows; first += rowsPerChunk) {
        signal.throwIfAborted();
        const count = Math.min(rowsPerChunk, rows - first);
        const values = chunk.subarray(0, count * columns);
        await job.source.read(first, count, values);
        if ("region" in job) await writeFloats(file, job, first, values);
        else await writeBlocks(file, job, first, count, values);
        onValues(values.length);
      }
    }
  }

  #reserve(lengthBytes: number): ExternalData {
    const alignment = lengthBytes >= PAGE_BYTES * 16 ? PAGE_BYTES : LINE_BYTES;
    const offsetBytes = Math.ceil(this.#endBytes / alignment) * alignment;
    this.#endBytes = offsetBytes + lengthBytes;
    return { location: this.#location, offsetBytes, lengthBytes };
  }
}

async function writeFloats(file: PositionedWriter, job: FloatJob, first: number, values: Float32Array): Promise<void> {
  const at = job.region.offsetBytes + first * job.source.columns * bytesOf(job.type);
  await writeAt(file, job.type === "float16" ? new Float16Array(values) : values, at);
}

async function writeBlocks(
  file: PositionedWriter,
  job: BlockJob,
  first: number,
  count: number,
  values: Float32Array,
): Promise<void> {
  const { source, bits, blockSize, scaleType } = job;
  const { blocksPerRow, bytesPerRow } = blockLayout(source.columns, bits, blockSize);
  const packed = new Uint8Array(count * bytesPerRow);
  const scales =
    scaleType === "float16" ? new Float16Array(count * blocksPerRow) : new Float32Array(count * blocksPerRow);
  quantizeRows(values, count, source.columns, bits, blockSize, packed, scales);
  await writeAt(file, packed, job.packed.offsetBytes + first * bytesPerRow);
  await writeAt(file, scales, job.scales.offsetBytes + first * blocksPerRow * bytesOf(scaleType));
}

async function writeAt(file: PositionedWriter, data: ArrayBufferView, position: number): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let done = 0;
  while (done < bytes.length)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

function bytesOf(type: WeightType): number {
  return type === "float16" ? 2 : 4;
}
