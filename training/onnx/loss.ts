// The output head with its cross-entropy, and the gradient of both: only rows that are in the loss come here.
// It does not know who predicted what; targets are token ids.
import type { Value } from "../../runtime/onnx/graph-builder.ts";
import type { Tape } from "./autodiff.ts";

/** Summed cross-entropy in nats, a scalar, of hidden states [rows, width] under a head [vocabulary, width]; targets [rows]. */
export function headLoss(tape: Tape, hidden: Value, head: Value, targets: Value): Value {
  const { graph } = tape;
  const logits = graph.op("Gemm", [hidden, head], { transB: 1 });
  const logShares = graph.op("LogSoftmax", [logits], { axis: -1 });
  const columns = graph.op("Unsqueeze", [targets, graph.ints([1])]);
  const found = graph.op("GatherElements", [logShares, columns], { axis: 1 });
  const loss = graph.op("Neg", [graph.op("ReduceSum", [found], { keepdims: 0 })]);
  return tape.record(loss, [hidden, head], (gradient, sink) => {
    const minusOnes = graph.op("Expand", [graph.floats(-1), graph.op("Shape", [columns])]);
    const logitGradient = graph.op("ScatterElements", [graph.op("Exp", [logShares]), columns, minusOnes], {
      axis: 1,
      reduction: "add",
    });
    // The loss's own gradient goes onto the small results, not onto [rows, vocabulary].
    sink.add(hidden, () => graph.op("Mul", [graph.op("Gemm", [logitGradient, head]), gradient]));
    sink.add(head, () => graph.op("Gemm", [logitGradient, graph.op("Mul", [hidden, gradient])], { transA: 1 }));
  });
}
