// ONNX Runtime's kernels read the importer's blocks as it means them, at full range, where products of 8-bit numbers
// would overflow 16-bit sums if a kernel kept them there.
import { describe, expect, test } from "vitest";
import { blockLayout, dequantizeRows, quantizeRows } from "../../../runtime/importer/quantize.ts";
import { GraphBuilder } from "../../../runtime/onnx/graph-builder.ts";
import { float32Output, float32s, int64s, openSession } from "../../support/onnx-session.ts";

const ROWS = 64;
const COLUMNS = 96;

describe.each([4, 8] as const)("%i bits", (bits) => {
  const wave = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i * 12.9898) * (1 + (i % 5)));
  const extremes = wave.map(Math.sign);

  test.each([1, 2, 5, 16])("a product of %i rows is exact without rounded activations", async (count) => {
    const inputs = Float32Array.from({ length: count * COLUMNS }, (_, i) => Math.cos(i * 78.233));
    expect(await productError(bits, wave, inputs, 0)).toBeLessThan(1e-4);
  });

  test.each([1, 2, 5, 16])("a product of %i rows at the ends of both ranges does not overflow", async (count) => {
    const inputs = new Float32Array(count * COLUMNS).fill(1);
    expect(await productError(bits, extremes, inputs, 4)).toBeLessThan(1e-4);
  });

  test("a lookup returns the rounded rows", async () => {
    const { packed, scales, rounded } = round(bits, wave);
    const { blocksPerRow, bytesPerRow } = blockLayout(COLUMNS, bits, 32);
    const graph = new GraphBuilder("lookup");
    const ids = graph.input("ids", "int64", ["n"]);
    const data = graph.initializer("packed", "uint8", [ROWS, bytesPerRow], packed);
    const scale = graph.initializer("scales", "float32", [ROWS, blocksPerRow], new Uint8Array(scales.buffer));
    const [rows = ids] = graph.contrib("GatherBlockQuantized", [data, ids, scale], 1, {
      gather_axis: 0,
      quantize_axis: 1,
      block_size: 32,
      bits,
    });
    graph.output("rows", rows, "float32", ["n", COLUMNS]);
    const session = await openSession(graph.toBytes());
    const found = float32Output(await session.run({ ids: int64s([63, 0, 17]) }), "rows");
    await session.close();
    for (const [at, row] of [63, 0, 17].entries()) {
      const expected = rounded.subarray(row * COLUMNS, (row + 1) * COLUMNS);
      expect(found.subarray(at * COLUMNS, (at + 1) * COLUMNS)).toEqual(expected);
    }
  });
});

function round(bits: 4 | 8, weights: Float32Array) {
  const { blocksPerRow, bytesPerRow } = blockLayout(COLUMNS, bits, 32);
  const packed = new Uint8Array(ROWS * bytesPerRow);
  const scales = new Float32Array(ROWS * blocksPerRow);
  quantizeRows(weights, ROWS, COLUMNS, bits, 32, packed, scales);
  return { packed, scales, rounded: dequantizeRows(packed, scales, ROWS, COLUMNS, bits, 32) };
}

/** Largest difference from the product with the rounded weights, computed here. */
async function productError(bits: 4 | 8, weights: Float32Array, inputs: Float32Array, level: number): Promise<number> {
  const { packed, scales, rounded } = round(bits, weights);
  const { blocksPerRow } = blockLayout(COLUMNS, bits, 32);
  const graph = new GraphBuilder("product");
  const x = graph.input("x", "float32", ["n", COLUMNS]);
  const data = graph.initializer("packed", "uint8", [ROWS, blocksPerRow, 4 * bits], packed);
  const scale = graph.initializer("scales", "float32", [ROWS * blocksPerRow], new Uint8Array(scales.buffer));
  const attributes = { K: COLUMNS, N: ROWS, bits, block_size: 32, accuracy_level: level };
  const [y = x] = graph.contrib("MatMulNBits", [x, data, scale], 1, attributes);
  graph.output("y", y, "float32", ["n", ROWS]);
  const count = inputs.length / COLUMNS;
  const session = await openSession(graph.toBytes());
  const found = float32Output(await session.run({ x: float32s(inputs, [count, COLUMNS]) }), "y");
  await session.close();
  let worst = 0;
  for (let i = 0; i < count; i++) {
    for (let row = 0; row < ROWS; row++) {
      let sum = 0;
      for (let k = 0; k < COLUMNS; k++) sum += (inputs[i * COLUMNS + k] ?? NaN) * (rounded[row * COLUMNS + k] ?? NaN);
      worst = Math.max(worst, Math.abs(sum - (found[i * ROWS + row] ?? NaN)));
    }
  }
  return worst;
}
