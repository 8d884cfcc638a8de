// Owns the optimizer: AdamW with decoupled decay of matrices and a limit for the norm of all gradients together, as two
// small graphs that are run piece by piece over the buffers. Parameters and moments are overwritten where they lie.
// It knows no network; Loshchilov and Hutter 2019 (arXiv:1711.05101).
import { GraphBuilder, type Value } from "../../runtime/onnx/graph-builder.ts";
import { type Binding, openSession, type Session } from "../../runtime/ort/session.ts";
import { Tensor } from "../../runtime/ort/tensor.ts";
import { FlatBuffer, type Piece } from "./buffers.ts";

const BETA_1 = 0.9;
const BETA_2 = 0.95;
const EPSILON = 1e-8;
/** Few enough that a piece of all four buffers stays in the caches, and that what is computed between takes little memory. */
const PIECE_VALUES = 1 << 19;
/** Keeps a norm of zero from being divided by. */
const NORM_EPSILON = 1e-6;

export interface UpdateSettings {
  /** Counted from 1; the moments began with zeros. */
  readonly step: number;
  readonly rate: number;
  /** Share of a matrix that is lost at a learning rate of 1. */
  readonly decay: number;
  /** Largest norm; gradients beyond it are scaled down. Infinity for no limit. */
  readonly clip: number;
}

export class AdamW {
  /** Running means of gradients and of their squares. */
  readonly means: FlatBuffer;
  readonly squares: FlatBuffer;
  readonly #pieces: readonly Piece[];
  readonly #norm: PiecewiseGraph;
  readonly #update: PiecewiseGraph;

  private constructor(
    pieces: readonly Piece[],
    [means, squares]: readonly [FlatBuffer, FlatBuffer],
    [norm, update]: readonly [PiecewiseGraph, PiecewiseGraph],
  ) {
    this.#pieces = pieces;
    this.means = means;
    this.squares = squares;
    this.#norm = norm;
    this.#update = update;
  }

  /** Moments of zero beside the parameters. `home` owns the memory of all of them and must outlive the optimizer. */
  static async open(home: Session, parameters: FlatBuffer, gradients: FlatBuffer): Promise<AdamW> {
    const { layout } = parameters;
    const pieces = layout.pieces(PIECE_VALUES);
    const means = await FlatBuffer.allocate(home, layout);
    const squares = await FlatBuffer.allocate(home, layout);
    const open = async (bytes: Uint8Array) =>
      openSession(home.environment, home.device, { bytes }, { isMemoryPlanned: false });
    const norm = new PiecewiseGraph(await open(squareSumGraph()), pieces, { gradient: gradients }, {});
    const kept = { parameter: parameters, mean: means, square: squares };
    const update = new PiecewiseGraph(await open(updateGraph()), pieces, { ...kept, gradient: gradients }, kept);
    return new AdamW(pieces, [means, squares], [norm, update]);
  }

  /** The norm of all gradients together. */
  async gradientNorm(): Promise<number> {
    let sum = 0;
    for (const index of this.#pieces.keys()) sum += await this.#norm.run(index, {}, "sum");
    return Math.sqrt(sum);
  }

  /** One step along gradients of this norm. */
  async update(norm: number, { step, rate, decay, clip }: UpdateSettings): Promise<void> {
    const coefficient = Math.min(1, clip / (norm + NORM_EPSILON));
    const stepSize = rate / (1 - BETA_1 ** step);
    const correction = 1 / Math.sqrt(1 - BETA_2 ** step);
    for (const [index, { isMatrix }] of this.#pieces.entries()) {
      const keep = isMatrix ? 1 - rate * decay : 1;
      await this.#update.run(index, { coefficient, step_size: stepSize, correction, keep }, null);
    }
  }

  release(): void {
    this.#norm.release();
    this.#update.release();
    this.means.release();
    this.squares.release();
  }
}

/** A session with a binding for every piece. */
class PiecewiseGraph {
  readonly #session: Session;
  readonly #bindings: readonly Binding[];

  constructor(
    session: Session,
    pieces: readonly Piece[],
    inputs: Readonly<Record<string, FlatBuffer>>,
    outputs: Readonly<Record<string, FlatBuffer>>,
  ) {
    this.#session = session;
    this.#bindings = pieces.map((piece) => {
      const binding = session.createBinding();
      for (const [name, buffer] of Object.entries(inputs)) binding.input(name, buffer.pieceView(piece));
      for (const [name, buffer] of Object.entries(outputs)) binding.output(`new_${name}`, buffer.pieceView(piece));
      return binding;
    });
  }

  /** Runs one piece; gives the scalar that is called `output`. */
  async run(index: number, scalars: Readonly<Record<string, number>>, output: string | null): Promise<number> {
    const binding = this.#bindings[index];
    if (binding === undefined) throw new Error(`there is no piece ${index}`);
    const result = Tensor.allocate(this.#session.host, "float32", []);
    const tensors = [result];
    try {
      for (const [name, value] of Object.entries(scalars)) {
        const tensor = Tensor.allocate(this.#session.host, "float32", []);
        tensors.push(tensor);
        tensor.float32().set([value]);
        binding.input(name, tensor);
      }
      if (output !== null) binding.output(output, result);
      await this.#session.run(binding);
      return output === null ? 0 : (result.float32()[0] ?? Number.NaN);
    } finally {
      for (const tensor of tensors) tensor.release();
    }
  }

  release(): void {
    for (const binding of this.#bindings) binding.release();
    this.#session.release();
  }
}

function squareSumGraph(): Uint8Array {
  const graph = new GraphBuilder("square-sum");
  const gradient = graph.input("gradient", "float32", ["values"]);
  graph.output("sum", graph.op("ReduceSumSquare", [gradient], { keepdims: 0 }), "float32", []);
  return graph.toBytes();
}

/**
 * Every buffer has one reader that must run before its place is written: nothing is read after it was overwritten, in
 * whatever order the nodes run.
 */
function updateGraph(): Uint8Array {
  const graph = new GraphBuilder("adamw");
  const input = (name: string, shape: readonly string[] = []) => graph.input(name, "float32", shape);
  const mul = (a: Value, b: Value) => graph.op("Mul", [a, b]);
  const decayed = (value: Value, factor: number) => mul(value, graph.floats(factor));
  const [parameter, gradient, mean, square] = ["parameter", "gradient", "mean", "square"].map((name) =>
    input(name, ["values"]),
  ) as [Value, Value, Value, Value];
  const clipped = mul(gradient, input("coefficient"));
  const newMean = graph.op("Add", [decayed(mean, BETA_1), decayed(clipped, 1 - BETA_1)]);
  const newSquare = graph.op("Add", [decayed(square, BETA_2), decayed(mul(clipped, clipped), 1 - BETA_2)]);
  const root = mul(graph.op("Sqrt", [newSquare]), input("correction"));
  const direction = graph.op("Div", [newMean, graph.op("Add", [root, graph.floats(EPSILON)])]);
  const kept = mul(parameter, input("keep"));
  const newParameter = graph.op("Sub", [kept, mul(direction, input("step_size"))]);
  const results = { parameter: newParameter, mean: newMean, square: newSquare };
  for (const [name, value] of Object.entries(results)) graph.output(`new_${name}`, value, "float32", ["values"]);
  return graph.toBytes();
}
