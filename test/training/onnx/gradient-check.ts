// Compares the gradient that a rule builds with the slope that its forward pass has: five-point differences, input by input.
import { GraphBuilder, type Value } from "../../../runtime/onnx/graph-builder.ts";
import { Tape } from "../../../training/onnx/autodiff.ts";
import { float32Output, float32s, openSession, type TensorData } from "../../support/onnx-session.ts";

type Shape = readonly number[];

export interface GradientCase {
  /** Drawn between -1 and 1. */
  readonly inputs: Readonly<Record<string, Shape>>;
  /** Read as they are. */
  readonly given?: Readonly<Record<string, TensorData>>;
  readonly result: Shape;
  readonly build: (tape: Tape, value: (name: string) => Value) => Value;
  /** Inputs of which no gradient is wanted. */
  readonly frozen?: readonly string[];
}

/** Steps large enough for float32, small enough for the fourth order to vanish. */
const STEP = 2 ** -5;

/** The largest difference between a gradient and a slope, against the largest slope or 1. */
export async function gradientError(check: GradientCase, random: () => number): Promise<number> {
  const { inputs, given = {}, frozen = [], result: resultShape } = check;
  const wanted = Object.keys(inputs).filter((name) => !frozen.includes(name));
  const draw = (shape: Shape) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return float32s(
      Array.from({ length: size }, () => 2 * random() - 1),
      shape,
    );
  };
  const feeds: Record<string, TensorData> = { ...given };
  for (const [name, shape] of Object.entries(inputs)) feeds[name] = draw(shape);
  feeds["seed"] = draw(resultShape);

  const graph = new GraphBuilder("check");
  const values = new Map(Object.entries(feeds).map(([name, { type, dims }]) => [name, graph.input(name, type, dims)]));
  const valueOf = (name: string): Value => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`no input ${name}`);
    return value;
  };
  const tape = new Tape(graph, wanted.map(valueOf));
  const result = check.build(tape, valueOf);
  const gradients = tape.gradients(result, valueOf("seed"));
  graph.output("result", result, "float32", resultShape);
  for (const name of wanted) {
    const gradient = gradients.get(valueOf(name));
    if (gradient === undefined) throw new Error(`${name} got no gradient`);
    graph.output(`gradient.${name}`, gradient, "float32", inputs[name] ?? []);
  }
  if (gradients.size !== wanted.length) throw new Error("there are gradients that nobody asked for");

  const session = await openSession(graph.toBytes());
  try {
    const found = await session.run(feeds);
    const seed = valuesOf(feeds["seed"]);
    const moved = async (name: string, index: number, step: number): Promise<number> => {
      const data = valuesOf(feeds[name]).slice();
      data[index] = (data[index] ?? 0) + step;
      const output = float32Output(
        await session.run({ ...feeds, [name]: float32s(data, inputs[name] ?? []) }),
        "result",
      );
      return output.reduce((sum, value, place) => sum + value * (seed[place] ?? 0), 0);
    };
    let worst = 0;
    let largest = 1;
    for (const name of wanted) {
      for (const [index, gradient] of float32Output(found, `gradient.${name}`).entries()) {
        const near = (await moved(name, index, STEP)) - (await moved(name, index, -STEP));
        const far = (await moved(name, index, 2 * STEP)) - (await moved(name, index, -2 * STEP));
        const slope = (8 * near - far) / (12 * STEP);
        worst = Math.max(worst, Math.abs(gradient - slope));
        largest = Math.max(largest, Math.abs(slope));
      }
    }
    return worst / largest;
  } finally {
    await session.close();
  }
}

function valuesOf(tensor: TensorData | undefined): Float32Array {
  if (tensor?.type !== "float32") throw new Error("not float32");
  return tensor.data;
}
