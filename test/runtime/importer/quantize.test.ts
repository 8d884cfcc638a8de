// Rounding to blocks: bounds that hold for any numbers, the byte layout, and the operators' own reading of it.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockLayout, dequantizeRows, quantizeRows, seededChance } from "../../../runtime/importer/quantize.ts";
import type { Bits } from "../../../runtime/importer/quantize.ts";

interface Quantized {
  readonly packed: Uint8Array;
  readonly scales: Float32Array | Float16Array;
  readonly restored: Float32Array;
}

function quantize(values: Float32Array, rows: number, bits: Bits, blockSize: number, isHalf = false): Quantized {
  const columns = values.length / rows;
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits, blockSize);
  const packed = new Uint8Array(rows * bytesPerRow).fill(0xaa);
  const scales = isHalf ? new Float16Array(rows * blocksPerRow) : new Float32Array(rows * blocksPerRow);
  quantizeRows(values, rows, columns, bits, blockSize, packed, scales);
  return { packed, scales, restored: dequantizeRows(packed, scales, rows, columns, bits, blockSize) };
}

const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 4 }),
    columns: fc.integer({ min: 1, max: 70 }),
    blockSize: fc.constantFrom(16, 32),
    magnitude: fc.constantFrom(1e-3, 1, 300),
    seed: fc.integer({ min: 1, max: 1e6 }),
    zeros: fc.boolean(),
  })
  .map(({ rows, columns, blockSize, magnitude, seed, zeros }) => {
    const values = Float32Array.from({ length: rows * columns }, (_, i) =>
      zeros && i % 7 < 5 ? 0 : magnitude * Math.sin(seed * 12.9898 + i * 78.233),
    );
    return { rows, columns, blockSize, values };
  });

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly blockSize: number;
  readonly values: Float32Array;
}

/** The largest error of a value, over what is allowed: a share of the largest magnitude of its block, and some slack. */
function worstError(
  { rows, columns, blockSize, values }: Matrix,
  restored: Float32Array,
  share: number,
  slack = 1e-12,
) {
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    for (let start = 0; start < columns; start += blockSize) {
      const at = row * columns + start;
      const end = row * columns + Math.min(columns, start + blockSize);
      const allowed = Math.max(...values.subarray(at, end).map(Math.abs)) * share + slack;
      for (let i = at; i < end; i++) {
        worst = Math.max(worst, Math.abs((values[i] ?? NaN) - (restored[i] ?? NaN)) / allowed);
      }
    }
  }
  return worst;
}

describe("quantizeRows", () => {
  test("8 bits: no value is off by more than half a step of its block (1/254 of the block's largest)", () => {
    fc.assert(
      fc.property(matrices, (matrix) => {
        expect(
          worstError(matrix, quantize(matrix.values, matrix.rows, 8, matrix.blockSize).restored, 0.5001 / 127),
        ).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("4 bits: no value is off by more than a step of its block (1/8 of the block's largest)", () => {
    fc.assert(
      fc.property(matrices, (matrix) => {
        expect(
          worstError(matrix, quantize(matrix.values, matrix.rows, 4, matrix.blockSize).restored, 1.0001 / 8),
        ).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("float16 scales cost their own rounding at most: 2^-11 of the largest, or half their smallest step a level", () => {
    fc.assert(
      fc.property(matrices, (matrix) => {
        const { restored } = quantize(matrix.values, matrix.rows, 8, matrix.blockSize, true);
        expect(worstError(matrix, restored, 0.502 / 127 + 2 ** -11, 128 * 2 ** -25)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("the value of largest magnitude survives 4 bits exactly, whatever its sign", () => {
    for (const extreme of [3, -3]) {
      const values = Float32Array.from({ length: 32 }, (_, i) => (i === 5 ? extreme : Math.sin(i)));
      expect(quantize(values, 1, 4, 32).restored[5]).toBe(extreme);
    }
  });

  test("zeros stay zeros, also a whole block and the filling of a last block", () => {
    const { packed, scales, restored } = quantize(new Float32Array(40), 1, 8, 32);
    expect(restored.every((value) => value === 0)).toBe(true);
    expect([...scales]).toEqual([0, 0]);
    expect(packed.every((level) => level === 128)).toBe(true);
    expect(packed.length).toBe(64);
  });

  test("4-bit levels are packed two a byte, the first in the low half, 8 being zero", () => {
    const values = new Float32Array(16);
    values.set([-8, -7, 0, 7, 1]);
    const { packed, scales } = quantize(values, 1, 4, 16);
    expect([...scales]).toEqual([1]);
    expect([...packed.subarray(0, 3)]).toEqual([0x10, 0xf8, 0x89]);
  });
});

function roundedBy(values: Float32Array, bits: Bits, seed: number) {
  const packed = new Uint8Array(blockLayout(values.length, bits, 32).bytesPerRow);
  const scales = new Float32Array(values.length / 32);
  quantizeRows(values, 1, values.length, bits, 32, packed, scales, seededChance(seed));
  return { scales, restored: dequantizeRows(packed, scales, 1, values.length, bits, 32) };
}

describe("with a chance", () => {
  test.each([4, 8] as const)("%i bits: a value goes to one of its two neighbours, and is right on average", (bits) => {
    const values = Float32Array.from({ length: 64 }, (_, i) => (i % 32 === 5 ? -1 : 0.8 * Math.sin(i * 78.233)));
    const runs = 2000;
    const sums = new Float64Array(values.length);
    for (let seed = 1; seed <= runs; seed += 1) {
      const { scales, restored } = roundedBy(values, bits, seed * 7919);
      for (const [i, value] of restored.entries()) {
        const step = Math.abs(scales[i < 32 ? 0 : 1] ?? NaN);
        expect(Math.abs(value - (values[i] ?? NaN)) / step).toBeLessThan(1.0001);
        sums[i] = (sums[i] ?? NaN) + value / step;
      }
    }
    const step = 1 / (bits === 8 ? 127 : 8);
    const errors = [...sums].map((sum, i) => Math.abs(sum / runs - (values[i] ?? NaN) / step));
    expect(Math.max(...errors)).toBeLessThan(0.06);
  });

  test("values on the grid, the largest of a block among them, stay where they are", () => {
    const values = Float32Array.from({ length: 32 }, (_, i) => (i - 16) / 16);
    const restored = roundedBy(values, 4, 1).restored;
    expect(restored.filter((_, i) => i % 2 === 0)).toEqual(values.filter((_, i) => i % 2 === 0));
  });

  test("equal seeds round alike", () => {
    const values = Float32Array.from({ length: 320 }, (_, i) => Math.sin(i));
    expect(roundedBy(values, 8, 3)).toEqual(roundedBy(values, 8, 3));
    expect(roundedBy(values, 8, 3)).not.toEqual(roundedBy(values, 8, 4));
  });
});
