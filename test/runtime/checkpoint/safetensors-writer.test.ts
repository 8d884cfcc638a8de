// What is written is read back: exactly, or rounded to the nearest number that the type has.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSafetensors } from "../../../runtime/checkpoint/safetensors-writer.ts";
import { type FloatType, openSafetensors } from "../../../runtime/importer/safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function throughFile(type: FloatType, values: Float32Array): Promise<Float32Array> {
  const path = join(folder, "file.safetensors");
  const source = {
    rows: values.length,
    columns: 1,
    read: (first: number, count: number, target: Float32Array) => {
      target.set(values.subarray(first, first + count));
      return Promise.resolve();
    },
  };
  await writeSafetensors(path, [{ name: "values", isVector: true, source }], { type, metadata: { note: "a" } });
  const file = await openSafetensors(path);
  expect(file.metadata).toEqual({ format: "pt", note: "a" });
  const read = new Float32Array(values.length);
  await file.readValues(file.tensors.get("values")!, 0, read);
  await file.close();
  return read;
}

/** Digits behind the leading one, and what is the largest number. */
const types = { F32: [23, 3e38], F16: [10, 6e4], BF16: [7, 3e38] } as const;

test.each(Object.entries(types))("%s", async (type, [bits, largest]) => {
  const floats = fc.float({ min: Math.fround(-largest), max: Math.fround(largest), noNaN: true });
  await fc.assert(
    fc.asyncProperty(fc.float32Array({ minLength: 1, maxLength: 40 }), fc.array(floats), async (any, usual) => {
      const values = Float32Array.of(...usual, 0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY);
      const read = await throughFile(type as FloatType, values);
      for (const [index, value] of values.entries()) {
        const found = read[index] ?? Number.NaN;
        // Numbers so small that they lose digits are near enough to nothing.
        const error = Math.abs(found - value) / Math.max(Math.abs(value), 1e-4);
        expect(Object.is(found, value) || error <= 2 ** -(bits + 1)).toBe(true);
      }
      // Rounded once, it stays as it is.
      expect(await throughFile(type as FloatType, read)).toEqual(read);
      expect(await throughFile("F32", any)).toEqual(any);
    }),
    { numRuns: 30 },
  );
});

test("a tie in bfloat16 goes to the even neighbour", async () => {
  expect([...(await throughFile("BF16", Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8)))]).toEqual([1, 1 + 2 ** -6]);
});
