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
   * A part of the network whose backward pass is finished before that of what lies below it begins, so that memory is needed
   * for one part at a time. Recomputing, only `input` is kept of the forward pass, and the rest is computed once more on the
   * way back. Other tracked values that `build` reads must be ones that the tape began with.
   */
  block(input: Value, isRecomputing: boolean, build: (tape: Tape, input: Value) => Value): Value {
    const forward = new Tape(this.graph, this.#tracked);
    const output = build(forward, input);
    if (!forward.isTracked(output)) return output;
    this.#tracked.add(output);
    const backward: Backward = (gradient, sink) => {
      let [tape, from, to] = [forward, input, output];
      if (isRecomputing) {
        // Not before the gradient is there: ONNX Runtime may compute early what it can, or see that it has it already.
        from = this.after(input, [gradient]);
        tape = new Tape(this.graph, this.#tracked);
        if (this.#tracked.has(input)) tape.#tracked.add(from);
        to = build(tape, from);
      }
      const found = tape.gradients(to, gradient);
      const own = found.get(from);
      found.delete(from);
      for (const [value, sum] of found) sink.add(value, () => sum);
      if (own !== undefined) sink.add(input, () => this.after(own, [...found.values()]));
    };
    this.#entries.push({ output, backward });
    return output;
  }

  /** `value`, but not before all of `others` are there: it depends on nothing of one number of each. */
  after(value: Value, others: readonly Value[]): Value {
    const { graph } = this;
    if (others.length === 0) return value;
    const numbers = others.map((other) => {
      const flat = graph.op("Reshape", [other, graph.ints([-1])]);
      return graph.op("Gather", [flat, graph.ints(0)], { axis: 0 });
    });
    const sum = numbers.length === 1 ? numbers[0]! : graph.op("Sum", numbers);
    return graph.op("Add", [value, graph.op("Mul", [sum, graph.floats(0)])]);
  }
}
