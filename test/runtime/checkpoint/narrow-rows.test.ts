// What the importer widened, joined or scaled comes apart to the same values, however it is read.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { narrowHeadColumns, narrowHeadRows, sliceRows, unscaleRows } from "../../../runtime/checkpoint/narrow-rows.ts";
import { joinRows, padHeadColumns, padHeadRows, scaleRows } from "../../../runtime/importer/rows.ts";
import type { RowSource } from "../../../runtime/importer/rows.ts";

function matrix(rows: number, columns: number, values?: Float32Array): RowSource {
  const all = values ?? Float32Array.from({ length: rows * columns }, (_, index) => index + 1);
  return {
    rows,
    columns,
    read(first, count, target) {
      target.set(all.subarray(first * columns, (first + count) * columns));
      return Promise.resolve();
    },
  };
}

async function readAll(source: RowSource, rowsAtOnce = source.rows): Promise<Float32Array> {
  const all = new Float32Array(source.rows * source.columns).fill(NaN);
  for (let first = 0; first < source.rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, source.rows - first);
    await source.read(first, count, all.subarray(first * source.columns, (first + count) * source.columns));
  }
  return all;
}

// Below the smallest normal number a product has fewer bits than its factors.
const isNormal = (value: number) => Math.abs(value) > 2 ** -120;

test("narrowing undoes widening, for rows and for columns, in pieces of any size", async () => {
  const size = fc.integer({ min: 1, max: 4 });
  await fc.assert(
    fc.asyncProperty(
      size,
      size,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 9 }),
      async (heads, half, more, rows) => {
        const [narrow, wide] = [2 * half, 2 * (half + more)];
        const tall = matrix(heads * narrow, 3);
        expect(await readAll(narrowHeadRows(padHeadRows(tall, narrow, wide), narrow, wide), rows)).toEqual(
          await readAll(tall),
        );
        const broad = matrix(5, heads * narrow);
        const there = padHeadColumns(broad, narrow, wide);
        expect(await readAll(narrowHeadColumns(there, narrow, wide), rows)).toEqual(await readAll(broad));
      },
    ),
  );
});

test("a slice of joined matrices is the one that was joined there", async () => {
  const parts = [matrix(2, 3), matrix(4, 3), matrix(1, 3)];
  const joined = joinRows(parts);
  let start = 0;
  for (const part of parts) {
    for (const rows of [1, 2, 5])
      expect(await readAll(sliceRows(joined, start, part.rows), rows)).toEqual(await readAll(part));
    start += part.rows;
  }
});

test("unscaled values scale to the same bits, and those that bfloat16 can say come back themselves", async () => {
  const bfloat16 = fc.integer({ min: -0x7f7f, max: 0x7f7f }).map((half) => {
    const magnitude = new Float32Array(Uint32Array.of(Math.abs(half) << 16).buffer)[0]!;
    return half < 0 ? -magnitude : magnitude;
  });
  const factor = fc.constantFrom(Math.sqrt(24 / 32), Math.sqrt(8 / 16), Math.sqrt(10 / 16), 1);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }).filter(isNormal), { minLength: 1 }),
      factor,
      async (list, scale) => {
        const values = Float32Array.from(list);
        const scaled = scaleRows(matrix(values.length, 1, values), scale);
        const back = unscaleRows(scaled, scale);
        expect(await readAll(scaleRows(back, scale))).toEqual(await readAll(scaled));
      },
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(bfloat16.filter(isNormal), { minLength: 1 }), factor, async (list, scale) => {
      const source = matrix(list.length, 1, Float32Array.from(list));
      expect(await readAll(unscaleRows(scaleRows(source, scale), scale))).toEqual(await readAll(source));
    }),
  );
});
