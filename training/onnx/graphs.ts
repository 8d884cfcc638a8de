// The graphs that a training runs: loss, loss with gradients, logits. Weights are inputs, so that all of them read the same
// tensors and none is stored in a graph.
// It names inputs and outputs; network.ts binds them.
import { GraphBuilder, type Value } from "../../runtime/onnx/graph-builder.ts";
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import { blockLayout } from "../../runtime/importer/quantize.ts";
import { Tape } from "./autodiff.ts";
import { Decoder, type DecoderOptions } from "./decoder.ts";
import { headLoss } from "./loss.ts";
import type { NetworkParts } from "./network-parts.ts";
import { BLOCK_SIZE, packedName, type PackedValues, scalesName } from "./packed-matrix.ts";

export type GraphOptions = DecoderOptions & NetworkParts;

export type GradientGraphOptions = GraphOptions & {
  /** Whether gradients are added to those of earlier runs. */
  readonly isAccumulating: boolean;
};

export const gradientName = (name: string): string => `gradient.${name}`;
export const earlierName = (name: string): string => `earlier.${name}`;

/** ids [batch, time], rows [rows], targets [rows] → loss, the sum in nats. */
export function lossGraph(config: DecoderConfig, options: GraphOptions): Uint8Array {
  const { graph, loss } = startLoss("loss", config, { ...options, isCheckpointing: false });
  graph.output("loss", loss, "float32", []);
  return graph.toBytes();
}

/**
 * The same with the gradient of loss · seed for every trained parameter. When accumulating, earlier gradients come in and
 * go out at the same place, and count where keep is more than 0.
 */
export function gradientGraph(config: DecoderConfig, options: GradientGraphOptions): Uint8Array {
  const { graph, tape, loss, values } = startLoss("gradients", config, options);
  const seed = graph.input("seed", "float32", []);
  const isKept = options.isAccumulating
    ? graph.op("Greater", [graph.input("keep", "float32", []), graph.floats(0)])
    : null;
  const gradients = tape.gradients(loss, seed);
  graph.output("loss", loss, "float32", []);
  for (const { name, shape } of options.trained) {
    const own = gradients.get(values(name));
    if (own === undefined) throw new Error(`parameter ${name} has no part in the loss`);
    let gradient = own;
    if (isKept !== null) {
      const sum = graph.op("Add", [graph.input(earlierName(name), "float32", shape), own]);
      gradient = graph.op("Where", [isKept, sum, own]);
    }
    graph.output(gradientName(name), gradient, "float32", shape);
  }
  return graph.toBytes();
}

/** ids [batch, time], rows [rows] → logits [rows, vocabulary]. */
export function logitsGraph(config: DecoderConfig, options: GraphOptions): Uint8Array {
  const { graph, tape, decoder, ids, rows } = start("logits", config, { ...options, isCheckpointing: false });
  const hidden = decoder.hiddenStates(tape, ids, rows);
  const logits = graph.op("Gemm", [hidden, decoder.head], { transB: 1 });
  graph.output("logits", logits, "float32", ["rows", config.vocabSize]);
  return graph.toBytes();
}

function startLoss(name: string, config: DecoderConfig, options: GraphOptions) {
  const started = start(name, config, options);
  const { graph, tape, decoder, ids, rows } = started;
  const targets = graph.input("targets", "int64", ["rows"]);
  return { ...started, loss: headLoss(tape, decoder.hiddenStates(tape, ids, rows), decoder.head, targets) };
}

function start(name: string, config: DecoderConfig, options: GraphOptions) {
  const graph = new GraphBuilder(name);
  const ids = graph.input("ids", "int64", ["batch", "time"]);
  const rows = graph.input("rows", "int64", ["rows"]);
  const known = new Map<string, Value>();
  for (const parameter of [...options.frozen, ...options.trained]) {
    known.set(parameter.name, graph.input(parameter.name, "float32", parameter.shape));
  }
  const values = (wanted: string): Value => {
    const value = known.get(wanted);
    if (value === undefined) throw new Error(`parameter ${wanted} is not among those of the graph`);
    return value;
  };
  const tape = new Tape(
    graph,
    options.trained.map((parameter) => values(parameter.name)),
  );
  const decoder = new Decoder(config, options, values, packedInputs(graph, options));
  return { graph, tape, ids, rows, values, decoder };
}

function packedInputs(graph: GraphBuilder, { packed, packedBits: bits }: GraphOptions): Map<string, PackedValues> {
  return new Map(
    packed.map(({ name, shape: [rows = 0, columns = 0] }) => {
      const { bytesPerRow, blocksPerRow } = blockLayout(columns, bits, BLOCK_SIZE);
      const bytes = graph.input(packedName(name), "uint8", [rows, bytesPerRow]);
      const scales = graph.input(scalesName(name), "float32", [rows, blocksPerRow]);
      return [name, { packed: bytes, scales, rows, columns, bits }];
    }),
  );
}
