// The parts of a decoder as operators, each with the nodes of its gradient: matrix products, norms, rotation, the
// feed-forward part's activation, lookups and rearrangements. Activations are [tokens, width], weights [out, in] as
// checkpoints keep them. It knows no architecture; attention.ts and loss.ts have the two larger rules.
import type { Value } from "../../runtime/onnx/graph-builder.ts";
import { float } from "../../runtime/onnx/proto.ts";
import type { Tape } from "./autodiff.ts";

/** input · weightᵀ + bias: [n, in] → [n, out]. */
export function linear(tape: Tape, input: Value, weight: Value, bias: Value | null): Value {
  const { graph } = tape;
  const inputs = bias === null ? [input, weight] : [input, weight, bias];
  return tape.record(graph.op("Gemm", inputs, { transB: 1 }), inputs, (gradient, sink) => {
    sink.add(input, () => graph.op("Gemm", [gradient, weight]));
    sink.add(weight, () => graph.op("Gemm", [gradient, input], { transA: 1 }));
    if (bias !== null) sink.add(bias, () => graph.op("ReduceSum", [gradient, graph.ints([0])], { keepdims: 0 }));
  });
}

/** Divides rows [n, width] by their root mean square and multiplies by `weight` [width]. */
export function rmsNorm(tape: Tape, input: Value, weight: Value, epsilon: number): Value {
  const { graph } = tape;
  const attributes = { axis: -1, stash_type: 1, epsilon: float(epsilon) };
  // The second output is one over the root: [n, 1].
  const [output, inverse] = graph.ops("SimplifiedLayerNormalization", [input, weight], 2, attributes);
  if (output === undefined || inverse === undefined) throw new Error("a norm has two outputs");
  return tape.record(output, [input, weight], (gradient, sink) => {
    const normed = graph.op("Mul", [input, inverse]);
    sink.add(weight, () =>
      graph.op("ReduceSum", [graph.op("Mul", [gradient, normed]), graph.ints([0])], { keepdims: 0 }),
    );
    sink.add(input, () => {
      const weighted = graph.op("Mul", [gradient, weight]);
      const along = graph.op("ReduceMean", [graph.op("Mul", [weighted, normed]), graph.ints([-1])], { keepdims: 1 });
      const across = graph.op("Sub", [weighted, graph.op("Mul", [normed, along])]);
      return graph.op("Mul", [across, inverse]);
    });
  });
}

/** The tables [positions, headDim / 2] that rotate, and those that rotate back. */
export interface Rotation {
  readonly cos: Value;
  readonly sin: Value;
  readonly minusSin: Value;
}

/** Rotates heads [batch, heads, time, headDim] by their place in time; pairs are value i and value i + headDim / 2. */
export function rotate(tape: Tape, input: Value, { cos, sin, minusSin }: Rotation): Value {
  const { graph } = tape;
  const turn = (value: Value, by: Value): Value => {
    const [turned] = graph.contrib("RotaryEmbedding", [value, graph.ints([0]), cos, by], 1);
    if (turned === undefined) throw new Error("a rotation has one output");
    return turned;
  };
  return tape.record(turn(input, sin), [input], (gradient, sink) => {
    sink.add(input, () => turn(gradient, minusSin));
  });
}

/** silu(gate) · up, elementwise. */
export function swiGlu(tape: Tape, gate: Value, up: Value): Value {
  const { graph } = tape;
  const sigmoid = graph.op("Sigmoid", [gate]);
  const activated = graph.op("Mul", [gate, sigmoid]);
  return tape.record(graph.op("Mul", [activated, up]), [gate, up], (gradient, sink) => {
    sink.add(up, () => graph.op("Mul", [gradient, activated]));
    sink.add(gate, () => {
      // silu' = σ + silu · (1 − σ)
      const rest = graph.op("Mul", [activated, graph.op("Sub", [graph.floats(1), sigmoid])]);
      const slope = graph.op("Add", [sigmoid, rest]);
      return graph.op("Mul", [graph.op("Mul", [gradient, up]), slope]);
    });
  });
}

export function add(tape: Tape, a: Value, b: Value): Value {
  return tape.record(tape.graph.op("Add", [a, b]), [a, b], (gradient, sink) => {
    for (const input of [a, b]) sink.add(input, () => gradient);
  });
}

export function scale(tape: Tape, input: Value, factor: number): Value {
  const { graph } = tape;
  const scaled = (value: Value) => graph.op("Mul", [value, graph.floats(factor)]);
  return tape.record(scaled(input), [input], (gradient, sink) => sink.add(input, () => scaled(gradient)));
}

/** Rows of `table` [vocabulary, width] by ids [n]: [n, width]. An id may come often. */
export function embed(tape: Tape, table: Value, ids: Value): Value {
  const { graph } = tape;
  return tape.record(graph.op("Gather", [table, ids], { axis: 0 }), [table], (gradient, sink) => {
    // Straight onto what the output head has left there, where it is the same table.
    sink.addOnto(table, (sum) => {
      const column = graph.op("Unsqueeze", [ids, graph.ints([1])]);
      const indices = graph.op("Expand", [column, graph.op("Shape", [gradient])]);
      const onto = sum ?? zerosLike(tape, table, gradient);
      return graph.op("ScatterElements", [onto, indices, gradient], { axis: 0, reduction: "add" });
    });
  });
}

/** Some rows of [n, width] by their numbers, each at most once: [rows, width]. */
export function selectRows(tape: Tape, input: Value, rows: Value): Value {
  const { graph } = tape;
  return tape.record(graph.op("Gather", [input, rows], { axis: 0 }), [input], (gradient, sink) => {
    sink.add(input, () => {
      const indices = graph.op("Unsqueeze", [rows, graph.ints([1])]);
      return graph.op("ScatterND", [zerosLike(tape, input, gradient), indices, gradient]);
    });
  });
}

/** `shape` as an int64 vector; `shapeBefore` is that of the input. */
export function reshape(tape: Tape, input: Value, shape: Value, shapeBefore: Value): Value {
  const { graph } = tape;
  return tape.record(graph.op("Reshape", [input, shape]), [input], (gradient, sink) => {
    sink.add(input, () => graph.op("Reshape", [gradient, shapeBefore]));
  });
}

/** [a, b, c, d] → [a, c, b, d]. */
export function swapMiddle(tape: Tape, input: Value): Value {
  const swapped = (value: Value) => tape.graph.op("Transpose", [value], { perm: [0, 2, 1, 3] });
  return tape.record(swapped(input), [input], (gradient, sink) => sink.add(input, () => swapped(gradient)));
}

/** Zeros that are made when `when` is known: as a constant they would lie in memory for good. */
function zerosLike({ graph }: Tape, value: Value, when: Value): Value {
  const first = graph.op("Gather", [graph.op("Reshape", [when, graph.ints([-1])]), graph.ints(0)], { axis: 0 });
  const zero = graph.op("Mul", [first, graph.floats(0)]);
  return graph.op("Expand", [zero, graph.op("Shape", [value])]);
}
