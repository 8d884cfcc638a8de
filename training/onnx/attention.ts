// Causal attention with grouped queries and its gradient. Queries that share keys stand below each other, so keys and values
// are never repeated; the matrix of probabilities is kept for the backward pass.
// It knows neither projections nor rotation.
import type { GraphBuilder, Value } from "../../runtime/onnx/graph-builder.ts";
import { float } from "../../runtime/onnx/proto.ts";
import type { Tape } from "./autodiff.ts";

/**
 * queries [batch, groups, perGroup · time, headDim], keys and values [batch, groups, time, headDim] → as the queries.
 * `mask` [perGroup · time, time] is what causalMask makes.
 */
export function attend(tape: Tape, queries: Value, keys: Value, values: Value, mask: Value, headDim: number): Value {
  const { graph } = tape;
  const alpha = float(1 / Math.sqrt(headDim));
  const product = (a: Value, b: Value, attributes: Parameters<GraphBuilder["contrib"]>[3]): Value => {
    const [result] = graph.contrib("FusedMatMul", [a, b], 1, attributes);
    if (result === undefined) throw new Error("a product has one output");
    return result;
  };
  const scores = graph.op("Add", [product(queries, keys, { transB: 1, alpha }), mask]);
  const shares = graph.op("Softmax", [scores], { axis: -1 });
  const output = graph.op("MatMul", [shares, values]);
  return tape.record(output, [queries, keys, values], (gradient, sink) => {
    sink.add(values, () => product(shares, gradient, { transA: 1 }));
    if (!tape.isTracked(queries) && !tape.isTracked(keys)) return;
    // Of a softmax: dS = P · (dP − rowsum(dP · P)), and the row's sum is that of dO · O.
    const rowSum = graph.op("ReduceSum", [graph.op("Mul", [gradient, output]), graph.ints([-1])], { keepdims: 1 });
    const shareGradient = product(gradient, values, { transB: 1 });
    const scoreGradient = graph.op("Mul", [shares, graph.op("Sub", [shareGradient, rowSum])]);
    sink.add(queries, () => product(scoreGradient, keys, { alpha }));
    sink.add(keys, () => product(scoreGradient, queries, { transA: 1, alpha }));
  });
}

/** What is added to scores, once for all layers: 0 where a query may look, minus infinity at what comes after it. */
export function causalMask(graph: GraphBuilder, time: Value, perGroup: number): Value {
  const places = graph.op("Range", [graph.ints(0), time, graph.ints(1)]);
  const looking = graph.op("Unsqueeze", [places, graph.ints([1])]);
  const looked = graph.op("Unsqueeze", [places, graph.ints([0])]);
  const isAllowed = graph.op("LessOrEqual", [looked, looking]);
  const mask = graph.op("Where", [isAllowed, graph.floats(0), graph.floats(Number.NEGATIVE_INFINITY)]);
  return graph.op("Tile", [mask, graph.ints([perGroup, 1])]);
}
