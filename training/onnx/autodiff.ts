// Reverse-mode differentiation over a graph while it is being built: a tape remembers how each tracked value came about,
// and walking it backwards appends the nodes that compute gradients. What comes out is an ordinary graph.
// It knows no operator: how each is differentiated stands in rules.ts, attention.ts and loss.ts.
import type { GraphBuilder, Value } from "../../runtime/onnx/graph-builder.ts";

/** Takes what a rule found for its inputs. Nothing is built for inputs that no gradient is wanted of. */
interface GradientSink {
  /** Adds a gradient to what the input has already. */
  add(input: Value, make: () => Value): void;
  /** The same for a rule that can add by itself: it is given what there is, null for nothing yet. */
  addOnto(input: Value, make: (sum: Value | null) => Value): void;
}

/** Appends the nodes that carry the output's gradient to the inputs. */
type Backward = (gradient: Value, sink: GradientSink) => void;

/** The way from tracked values to one result. */
export class Tape {
  readonly graph: GraphBuilder;
  readonly #tracked: Set<Value>;
  readonly #entries: { readonly output: Value; readonly backward: Backward }[] = [];

  /** `tracked` are the values whose gradients are wanted; what is computed from them joins them. */
  constructor(graph: GraphBuilder, tracked: Iterable<Value> = []) {
    this.graph = graph;
    this.#tracked = new Set(tracked);
  }

  /** Whether the gradient of a value will be asked for. */
  isTracked(value: Value): boolean {
    return this.#tracked.has(value);
  }

  /** Remembers how `output` came about, where one of its inputs is tracked. Returns it. */
  record(output: Value, inputs: readonly Value[], backward: Backward): Value {
    if (inputs.some((input) => this.#tracked.has(input))) {
      this.#tracked.add(output);
      this.#entries.push({ output, backward });
    }
    return output;
  }

  /** Appends the backward pass from `result`, whose gradient is `seed`. Gives the gradients of the values it began with. */
  gradients(result: Value, seed: Value): Map<Value, Value> {
    const sums = new Map([[result, seed]]);
    const sink: GradientSink = {
      add: (input, make) => sink.addOnto(input, (sum) => (sum === null ? make() : this.graph.op("Add", [sum, make()]))),
      addOnto: (input, make) => {
        if (this.#tracked.has(input)) sums.set(input, make(sums.get(input) ?? null));
      },
    };
    for (const { output, backward } of this.#entries.toReversed()) {
      const gradient = sums.get(output);
      if (gradient === undefined) continue;
      sums.delete(output);
      backward(gradient, sink);
    }
    return sums;
  }

  /**
   * Runs `block` without keeping what it computes on the way: the backward pass computes it once more, and only `input` is
   * kept. Other tracked values that the block reads must be ones that the tape began with.
   */
  checkpoint(input: Value, block: (tape: Tape, input: Value) => Value): Value {
    const forward = new Tape(this.graph, this.#tracked);
    const output = block(forward, input);
    if (!forward.isTracked(output)) return output;
    this.#tracked.add(output);
    const backward: Backward = (gradient, sink) => {
      const tied = this.#tie(input, gradient);
      const again = new Tape(this.graph, this.#tracked);
      if (this.#tracked.has(input)) again.#tracked.add(tied);
      for (const [value, found] of again.gradients(block(again, tied), gradient)) {
        sink.add(value === tied ? input : value, () => found);
      }
    };
    this.#entries.push({ output, backward });
    return output;
  }

  /**
   * `input`, but not before the gradient is there: otherwise ONNX Runtime may compute the block's second pass early, or see
   * that it equals the first and keep that one.
   */
  #tie(input: Value, gradient: Value): Value {
    const { graph } = this;
    const row = graph.op("Gather", [gradient, graph.ints(0)], { axis: 0 });
    const one = graph.op("Gather", [row, graph.ints([0])], { axis: 0 });
    return graph.op("Add", [input, graph.op("Mul", [one, graph.floats(0)])]);
  }
}
