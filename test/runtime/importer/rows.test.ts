// Rearranged matrices must come out the same however they are read: in one go or a few rows at a time.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joinRows, padHeadColumns, padHeadRows, scaleRows } from "../../../runtime/importer/rows.ts";
import type { RowSource } from "../../../runtime/importer/rows.ts";

/** Values that tell where they came from: base + row * 100 + column. */
function matrix(rows: number, columns: number, base = 0): RowSource {
  return {
    rows,
    columns,
    read(first, count, target) {
      for (let i = 0; i < count * columns; i++)
        target[i] = base + (first + Math.floor(i / columns)) * 100 + (i % columns);
      return Promise.resolve();
    },
  };
}

async function readAll(source: RowSource, rowsAtOnce = source.rows): Promise<number[][]> {
  const rows: number[][] = [];
  for (let first = 0; first < source.rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, source.rows - first);
    const target = new Float32Array(count * source.columns).fill(NaN);
    await source.read(first, count, target);
    for (let row = 0; row < count; row++)
      rows.push([...target.subarray(row * source.columns, (row + 1) * source.columns)]);
  }
  return rows;
}

/** What one column of an input becomes behind `rows` and then `back`. */
function through(rows: number[][], back: number[][]): number[] {
  return back.map((line) => line.reduce((sum, weight, at) => sum + weight * (rows[at]?.[1] ?? NaN), 0));
}

describe("joinRows", () => {
  test("puts matrices below each other", async () => {
    expect(await readAll(joinRows([matrix(1, 2), matrix(2, 2, 7000)]))).toEqual([
      [0, 1],
      [7000, 7001],
      [7100, 7101],
    ]);
  });

  test("refuses matrices of different widths", () => {
    expect(() => joinRows([matrix(1, 2), matrix(1, 3)])).toThrow("differ in width");
  });
});

describe("padHeadRows", () => {
  test("puts zero rows behind each half of each head", async () => {
    expect(await readAll(padHeadRows(matrix(4, 1), 2, 6))).toEqual(
      [0, null, null, 100, null, null, 200, null, null, 300, null, null].map((value) => [value ?? 0]),
    );
  });
});

describe("padHeadColumns", () => {
  test("puts zero columns behind each half of each head", async () => {
    expect(await readAll(padHeadColumns(matrix(2, 4), 4, 8))).toEqual([
      [0, 1, 0, 0, 2, 3, 0, 0],
      [100, 101, 0, 0, 102, 103, 0, 0],
    ]);
  });
});

describe("scaleRows", () => {
  test("multiplies every value", async () => {
    expect(await readAll(scaleRows(matrix(2, 2), 0.5))).toEqual([
      [0, 0.5],
      [50, 50.5],
    ]);
  });
});

test("widened heads give the products of the narrow ones", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 4 }),
      async (heads, half, more) => {
        const narrow = 2 * half;
        const wide = narrow + 2 * more;
        const project = await readAll(padHeadRows(matrix(heads * narrow, 3), narrow, wide));
        const output = await readAll(padHeadColumns(matrix(2, heads * narrow), narrow, wide));
        const plain = through(await readAll(matrix(heads * narrow, 3)), await readAll(matrix(2, heads * narrow)));
        expect(through(project, output)).toEqual(plain);
      },
    ),
  );
});

test("every arrangement reads the same in pieces of any size", async () => {
  const sources = [
    joinRows([matrix(3, 2), matrix(1, 2, 7000), matrix(5, 2, 9000)]),
    padHeadRows(matrix(12, 2), 4, 10),
    padHeadColumns(matrix(7, 4), 4, 6),
    joinRows([padHeadRows(matrix(8, 2), 4, 6), scaleRows(matrix(3, 2), 2)]),
  ];
  for (const source of sources) {
    const whole = await readAll(source);
    for (let size = 1; size < source.rows; size++) expect(await readAll(source, size)).toEqual(whole);
  }
});
