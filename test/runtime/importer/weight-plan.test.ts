// Weights reach the disk where the plan says, in pieces whose size does not depend on the weights'.
import { describe, expect, test } from "vitest";
import { dequantizeRows } from "../../../runtime/importer/quantize.ts";
import type { RowSource } from "../../../runtime/importer/rows.ts";
import { CHUNK_VALUES, WeightPlan } from "../../../runtime/importer/weight-plan.ts";
import type { PositionedWriter } from "../../../runtime/importer/weight-plan.ts";

const never = new AbortController().signal;

function source(rows: number, columns: number): RowSource {
  return {
    rows,
    columns,
    read(first, count, target) {
      for (let i = 0; i < count * columns; i++) target[i] = Math.sin(first * columns + i);
      return Promise.resolve();
    },
  };
}

/** A file in memory that takes a few bytes at a time, as a disk may. */
function memoryFile(bytes: Uint8Array, mostAtOnce = 1000): PositionedWriter {
  return {
    write(buffer, offset, length, position) {
      const bytesWritten = Math.min(length, mostAtOnce);
      bytes.set(buffer.subarray(offset, offset + bytesWritten), position);
      return Promise.resolve({ bytesWritten });
    },
  };
}

describe("WeightPlan", () => {
  test("regions never overlap, and large ones start on a page", () => {
    const plan = new WeightPlan("data");
    const regions = [
      plan.float(source(3, 5), "float32"),
      plan.float(source(100, 300), "float16"),
      ...Object.values(plan.quantized(source(50, 33), 4, 32, "float16")),
      ...Object.values(plan.quantized(source(1000, 128), 8, 64, "float32")),
    ];
    let end = 0;
    for (const { offsetBytes, lengthBytes, location } of regions) {
      expect(location).toBe("data");
      expect(offsetBytes).toBeGreaterThanOrEqual(end);
      expect(offsetBytes % (lengthBytes >= 65_536 ? 4096 : 64)).toBe(0);
      end = offsetBytes + lengthBytes;
    }
    expect(regions.map(({ lengthBytes }) => lengthBytes)).toEqual([60, 60_000, 50 * 32, 50 * 2 * 2, 128_000, 8000]);
    expect(plan.totalValues).toBe(15 + 30_000 + 1650 + 128_000);
  });

  test("what is written is what was read, also when the disk takes it in bits", async () => {
    const plan = new WeightPlan("data");
    const plain = plan.float(source(3, 5), "float32");
    const half = plan.float(source(9, 7), "float16");
    const blocks = plan.quantized(source(40, 70), 8, 32, "float32");
    const bytes = new Uint8Array(blocks.scales.offsetBytes + blocks.scales.lengthBytes);
    let seen = 0;
    await plan.write(memoryFile(bytes), (values) => (seen += values), never);
    expect(seen).toBe(plan.totalValues);

    const at = ({ offsetBytes, lengthBytes }: typeof plain) => bytes.slice(offsetBytes, offsetBytes + lengthBytes);
    const expected = Float32Array.from({ length: 2800 }, (_, i) => Math.sin(i));
    expect(new Float32Array(at(plain).buffer)).toEqual(expected.slice(0, 15));
    expect(new Float16Array(at(half).buffer)).toEqual(new Float16Array(expected.slice(0, 63)));
    const restored = dequantizeRows(at(blocks.packed), new Float32Array(at(blocks.scales).buffer), 40, 70, 8, 32);
    expect(Math.max(...restored.map((value, i) => Math.abs(value - (expected[i] ?? NaN))))).toBeLessThan(0.5001 / 127);
  });

  test("a matrix far larger than the pieces is never in memory at once", async () => {
    const columns = 1024;
    const rows = 64 * 1024; // 256 MiB in float32
    let largestRead = 0;
    let largestWrite = 0;
    let peakBytes = 0;
    const big: RowSource = {
      rows,
      columns,
      read(_, count, target) {
        largestRead = Math.max(largestRead, count * columns);
        target.fill(0.5);
        peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
        return Promise.resolve();
      },
    };
    const plan = new WeightPlan("data");
    plan.quantized(big, 4, 32, "float32");
    const before = process.memoryUsage().arrayBuffers;
    const sink: PositionedWriter = {
      write(_, __, length) {
        largestWrite = Math.max(largestWrite, length);
        return Promise.resolve({ bytesWritten: length });
      },
    };
    await plan.write(sink, () => {}, never);
    expect(largestRead).toBeLessThanOrEqual(CHUNK_VALUES);
    expect(largestWrite).toBeLessThanOrEqual(CHUNK_VALUES * 4);
    // One piece, its encoding, and what else the process does meanwhile.
    expect(peakBytes - before).toBeLessThan(16 * 2 ** 20);
  });

  test("a row longer than a piece is read alone", async () => {
    const plan = new WeightPlan("data");
    const { lengthBytes } = plan.float(source(2, CHUNK_VALUES + 3), "float16");
    const bytes = new Uint8Array(lengthBytes);
    await plan.write(memoryFile(bytes, Infinity), () => {}, never);
    expect(new Float16Array(bytes.buffer)[2 * CHUNK_VALUES + 5]).toBe(Math.f16round(Math.sin(2 * CHUNK_VALUES + 5)));
  });

  test("an aborted signal stops between two pieces", async () => {
    const plan = new WeightPlan("data");
    plan.float(source(1, 4), "float32");
    plan.float(source(1, 4), "float32");
    const abort = new AbortController();
    let pieces = 0;
    const writing = plan.write(
      memoryFile(new Uint8Array(1000)),
      () => {
        pieces++;
        abort.abort();
      },
      abort.signal,
    );
    await expect(writing).rejects.toThrow("aborted");
    expect(pieces).toBe(1);
  });
});
