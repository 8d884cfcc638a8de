// The data file beside a graph: first a plan of which bytes go where, then the writing, a bounded piece at a time.
// Offsets are known before any weight is read, so the graph can be built first and scales written beside their values.
// It knows encodings and places, not what a tensor means.
import type { ExternalData } from "../onnx/proto.ts";
import { blockLayout, quantizeRows, seededChance } from "./quantize.ts";
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
  readonly isDithered: boolean;
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

  quantized(
    source: RowSource,
    bits: Bits,
    blockSize: number,
    scaleType: WeightType,
    isDithered = false,
  ): QuantizedRegions {
    const { blocksPerRow, bytesPerRow } = blockLayout(source.columns, bits, blockSize);
    const packed = this.#reserve(source.rows * bytesPerRow);
    const scales = this.#reserve(source.rows * blocksPerRow * bytesOf(scaleType));
    this.#jobs.push({ source, bits, blockSize, scaleType, isDithered, packed, scales });
    return { packed, scales };
  }

  /** Reads every source once and writes it. Stops between two pieces when the signal is aborted. */
  async write(file: PositionedWriter, onValues: (values: number) => void, signal: AbortSignal): Promise<void> {
    const chunk = new Float32Array(Math.max(CHUNK_VALUES, ...this.#jobs.map(({ source }) => source.columns)));
    for (const job of this.#jobs) {
      const { rows, columns } = job.source;
      const rowsPerChunk = Math.min(rows, Math.max(1, Math.floor(CHUNK_VALUES / columns)));
      const encode = "region" in job ? floatEncoder(job, rowsPerChunk) : blockEncoder(job, rowsPerChunk);
      for (let first = 0; first < rows; first += rowsPerChunk) {
        signal.throwIfAborted();
        const count = Math.min(rowsPerChunk, rows - first);
        const values = chunk.subarray(0, count * columns);
        await job.source.read(first, count, values);
        for (const { bytes, position } of encode(values, first, count)) await writeAt(file, bytes, position);
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

/** Some rows as the file holds them; valid until the next call. */
type Encoder = (values: Float32Array, first: number, count: number) => readonly Placed[];

interface Placed {
  readonly bytes: Uint8Array;
  readonly position: number;
}

function floatEncoder({ source, type, region }: FloatJob, maxRows: number): Encoder {
  const halves = type === "float16" ? new Float16Array(maxRows * source.columns) : null;
  return (values, first) => {
    halves?.set(values);
    const encoded = halves?.subarray(0, values.length) ?? values;
    return [{ bytes: bytesIn(encoded), position: region.offsetBytes + first * source.columns * bytesOf(type) }];
  };
}

function blockEncoder(
  { source, bits, blockSize, scaleType, isDithered, ...regions }: BlockJob,
  maxRows: number,
): Encoder {
  // Of its place alone: equal checkpoints give equal bytes.
  const chance = isDithered ? seededChance(regions.packed.offsetBytes + 1) : null;
  const { blocksPerRow, bytesPerRow } = blockLayout(source.columns, bits, blockSize);
  const packed = new Uint8Array(maxRows * bytesPerRow);
  const Scales = scaleType === "float16" ? Float16Array : Float32Array;
  const scales = new Scales(maxRows * blocksPerRow);
  return (values, first, count) => {
    quantizeRows(values, count, source.columns, bits, blockSize, packed, scales, chance);
    const packedAt = regions.packed.offsetBytes + first * bytesPerRow;
    const scalesAt = regions.scales.offsetBytes + first * blocksPerRow * bytesOf(scaleType);
    return [
      { bytes: packed.subarray(0, count * bytesPerRow), position: packedAt },
      { bytes: bytesIn(scales.subarray(0, count * blocksPerRow)), position: scalesAt },
    ];
  };
}

async function writeAt(file: PositionedWriter, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

function bytesIn({ buffer, byteOffset, byteLength }: Float32Array | Float16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function bytesOf(type: WeightType): number {
  return type === "float16" ? 2 : 4;
}
