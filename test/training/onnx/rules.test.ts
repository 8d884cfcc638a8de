// Every rule's gradient is the slope of its forward pass, for shapes and numbers of all kinds.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { uniform } from "../../../runtime/engine/random.ts";
import type { Value } from "../../../runtime/onnx/graph-builder.ts";
import { type Bits, blockLayout, quantizeRows } from "../../../runtime/importer/quantize.ts";
import { packedLinear } from "../../../training/onnx/packed-matrix.ts";
import { attend, causalMask } from "../../../training/onnx/attention.ts";
import type { Tape } from "../../../training/onnx/autodiff.ts";
import { headLoss } from "../../../training/onnx/loss.ts";
import {
  add,
  embed,
  linear,
  reshape,
  rmsNorm,
  rotate,
  scale,
  selectRows,
  swapMiddle,
  swiGlu,
} from "../../../training/onnx/rules.ts";
import { int64s } from "../../support/onnx-session.ts";
import { type GradientCase, gradientError } from "./gradient-check.ts";

/** A rule over three sizes. */
type Rule = (a: number, b: number, c: number) => GradientCase;

const modulo = (count: number, below: number, of: (at: number) => number) =>
  int64s(Array.from({ length: count }, (_, at) => of(at) % below));

const block = (tape: Tape, input: Value, weight: Value) => swiGlu(tape, linear(tape, input, weight, null), input);
const square = (n: number, width: number) => ({ x: [n, width], w: [width, width] });

function packedCase(n: number, blocks: number, rows: number, bits: Bits): GradientCase {
  const columns = 32 * blocks;
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits, 32);
  const packed = new Uint8Array(rows * bytesPerRow);
  const scales = new Float32Array(rows * blocksPerRow);
  const values = Float32Array.from({ length: rows * columns }, (_, at) => Math.sin(7 * at));
  quantizeRows(values, rows, columns, bits, 32, packed, scales);
  return {
    inputs: { x: [n, columns], b: [rows] },
    result: [n, rows],
    build: (tape, value) => {
      const { graph } = tape;
      const weight = {
        packed: graph.initializer("packed", "uint8", [rows, bytesPerRow], packed),
        scales: graph.initializer("scales", "float32", [rows, blocksPerRow], new Uint8Array(scales.buffer)),
        rows,
        columns,
        bits,
      };
      return packedLinear(tape, value("x"), weight, value("b"));
    },
  };
}

const rules: Readonly<Record<string, Rule>> = {
  "a matrix product": (n, i, o) => ({
    inputs: { x: [n, i], w: [o, i] },
    result: [n, o],
    build: (tape, value) => linear(tape, value("x"), value("w"), null),
  }),

  "a matrix product with a bias": (n, i, o) => ({
    inputs: { x: [n, i], w: [o, i], b: [o] },
    result: [n, o],
    build: (tape, value) => linear(tape, value("x"), value("w"), value("b")),
  }),

  "a frozen product, which goes to its input alone": (n, i, o) => ({
    inputs: { x: [n, i], w: [o, i], b: [o] },
    frozen: ["w", "b"],
    result: [n, o],
    build: (tape, value) => linear(tape, value("x"), value("w"), value("b")),
  }),

  "a product with a matrix in four bits": (n, blocks, rows) => packedCase(n, blocks, rows, 4),

  "a product with a matrix in eight bits, with a bias": (n, blocks, rows) => packedCase(n, blocks, rows, 8),

  "a norm": (n, width) => ({
    inputs: { x: [n, width + 1], w: [width + 1] },
    result: [n, width + 1],
    build: (tape, value) => rmsNorm(tape, value("x"), value("w"), 0.1),
  }),

  rotation: (heads, time, half) => ({
    inputs: { x: [2, heads, time, 2 * half] },
    result: [2, heads, time, 2 * half],
    build: (tape, value) => {
      const table = (name: string, of: (angle: number) => number) => {
        const angles = Array.from(
          { length: time * half },
          (_, at) => 1 + 0.7 * Math.floor(at / half) + 0.3 * (at % half),
        );
        const bytes = new Uint8Array(Float32Array.from(angles, of).buffer);
        return tape.graph.initializer(name, "float32", [time, half], bytes);
      };
      const minusSin = table("minus", (angle) => -Math.sin(angle));
      return rotate(tape, value("x"), { cos: table("cos", Math.cos), sin: table("sin", Math.sin), minusSin });
    },
  }),

  "causal attention with grouped queries": (groups, time, perGroup) => ({
    inputs: { q: [2, groups, perGroup * time, 4], k: [2, groups, time, 4], v: [2, groups, time, 4] },
    result: [2, groups, perGroup * time, 4],
    build: (tape, value) => {
      const mask = causalMask(tape.graph, tape.graph.ints(time), perGroup);
      return attend(tape, value("q"), value("k"), value("v"), mask, 4);
    },
  }),

  "the activation of the feed-forward part": (n, width) => ({
    inputs: { gate: [n, width], up: [n, width] },
    result: [n, width],
    build: (tape, value) => swiGlu(tape, value("gate"), value("up")),
  }),

  "a lookup in which ids repeat": (n, width, vocabulary) => ({
    inputs: { table: [vocabulary, width] },
    given: { ids: modulo(2 * n, vocabulary, (at) => at * at) },
    result: [2 * n, width],
    build: (tape, value) => embed(tape, value("table"), value("ids")),
  }),

  "some rows": (n, width) => ({
    inputs: { x: [n + 2, width] },
    given: { rows: int64s([0, n + 1]) },
    result: [2, width],
    build: (tape, value) => selectRows(tape, value("x"), value("rows")),
  }),

  "the head's cross-entropy": (n, width, vocabulary) => ({
    inputs: { x: [n, width], head: [vocabulary + 1, width] },
    given: { targets: modulo(n, vocabulary + 1, (at) => 3 * at + 1) },
    result: [],
    build: (tape, value) => headLoss(tape, value("x"), value("head"), value("targets")),
  }),

  "a table that is embedding and head at once": (n, width, vocabulary) => ({
    inputs: { table: [vocabulary + 1, width] },
    given: {
      ids: modulo(n, vocabulary + 1, (at) => 2 * at),
      targets: modulo(n, vocabulary + 1, (at) => 3 * at + 1),
    },
    result: [],
    build: (tape, value) => {
      const table = value("table");
      return headLoss(tape, embed(tape, table, value("ids")), table, value("targets"));
    },
  }),

  "sums, factors, rearrangements, and a value that is used twice": (a, b, c) => ({
    inputs: { x: [a, b, c, 2], y: [a, c, b, 2] },
    result: [a * b, c * 2],
    build: (tape, value) => {
      const sum = add(tape, value("x"), swapMiddle(tape, scale(tape, value("y"), -1.5)));
      return reshape(tape, add(tape, sum, sum), tape.graph.ints([a * b, c * 2]), tape.graph.ints([a, b, c, 2]));
    },
  }),

  "blocks, one computed twice and one kept": (n, width) => ({
    inputs: square(n, width),
    result: [n, width],
    build: (tape, value) => {
      const once = tape.block(value("x"), true, (inner, input) => block(inner, input, value("w")));
      return tape.block(once, false, (inner, input) => block(inner, input, value("w")));
    },
  }),

  "such a block over a frozen input": (n, width) => ({
    inputs: square(n, width),
    frozen: ["x"],
    result: [n, width],
    build: (tape, value) => tape.block(value("x"), true, (inner, input) => block(inner, input, value("w"))),
  }),

  "such a block in which nothing is trained": (n, width) => ({
    inputs: { ...square(n, width), y: [n, width] },
    frozen: ["x", "w"],
    result: [n, width],
    build: (tape, value) =>
      add(
        tape,
        value("y"),
        tape.block(value("x"), true, (inner, input) => block(inner, input, value("w"))),
      ),
  }),
};

const size = fc.integer({ min: 1, max: 4 });

test.each(Object.entries(rules))("the gradient of %s", async (_name, rule) => {
  await fc.assert(
    fc.asyncProperty(size, size, size, fc.nat({ max: 1_000_000 }), async (a, b, c, seed) => {
      let drawn = 0;
      const error = await gradientError(rule(a, b, c), () => uniform(seed, 0, drawn++));
      // Five-point differences in float32 are good to about three digits.
      expect(error).toBeLessThan(1e-3);
    }),
    { numRuns: 6 },
  );
});
