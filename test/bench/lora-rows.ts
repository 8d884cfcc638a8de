// What adapters of each row's own would cost a decode step: the matrices of a few layers of SmolLM2-135M's shapes in int8, alone, with one
// LoRA adapter for all rows, and with one of several adapters chosen by each row (gathered in the graph, multiplied row by row). Loading an
// adapter per run, as ONNX Runtime itself offers it, is the second of these: rows of different adapters cannot share a run. One thread.
// A table on standard error, one JSON document as the last line of standard output. Example: npm run bench:lora-rows -- --rank 16
import { parseArgs } from "node:util";
import { GraphBuilder, type Value } from "../../runtime/onnx/graph-builder.ts";
import { blockLayout, quantizeRows, seededChance } from "../../runtime/importer/quantize.ts";
import { chooseDevice } from "../../runtime/ort/device.ts";
import { openEnvironment } from "../../runtime/ort/environment.ts";
import { openSession } from "../../runtime/ort/session.ts";
import { Tensor } from "../../runtime/ort/tensor.ts";
import { quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    layers: { type: "string", default: "6" },
    rank: { type: "string", default: "16" },
    adapters: { type: "string", default: "8" },
    steps: { type: "string", default: "100" },
  },
});
const [layers, rank, adapters, steps] = [values.layers, values.rank, values.adapters, values.steps].map(Number) as [
  number,
  number,
  number,
  number,
];
const width = 576;
/** Inputs and outputs of a layer's matrices, packed as the importer packs them, each fed by the one before. */
const shapes = [
  [width, 960],
  [960, width],
  [width, 3072],
  [3072, width],
] as const;
const blockSize = 32;
type Kind = "base" | "one adapter" | "an adapter a row";

const environment = openEnvironment({ threads: 1, isSpinning: false });
const device = chooseDevice(environment.api, "cpu", "float32", () => {});
const results: { rows: number; kind: Kind; msPerStep: number }[] = [];
for (const rows of [2, 8, 16]) {
  for (const kind of ["base", "one adapter", "an adapter a row"] as const) {
    const msPerStep = await measure(kind, rows);
    results.push({ rows, kind, msPerStep });
    process.stderr.write(`${String(rows).padStart(2)} rows, ${kind.padEnd(16)} ${msPerStep.toFixed(2)} ms a step\n`);
  }
}
environment.release();
process.stdout.write(`${JSON.stringify({ layers, rank, adapters, steps, threads: environment.threads, results })}\n`);

async function measure(kind: Kind, rows: number): Promise<number> {
  const session = await openSession(environment, device, { bytes: buildGraph(kind) });
  const input = Tensor.allocate(session.host, "float32", [rows, 1, width]);
  const ids = Tensor.allocate(session.host, "int64", [rows]);
  const output = Tensor.allocate(session.host, "float32", [rows, 1, width]);
  input.float32().set(noise(rows * width, 1));
  ids.int64().set(Array.from({ length: rows }, (_, row) => BigInt(row % adapters)));
  const binding = session.createBinding();
  binding.input("input", input);
  if (kind === "an adapter a row") binding.input("ids", ids);
  binding.output("output", output);
  const times: number[] = [];
  for (let step = 0; step < steps; step += 1) {
    const startedMs = performance.now();
    await session.run(binding);
    times.push(performance.now() - startedMs);
  }
  binding.release();
  for (const tensor of [input, ids, output]) tensor.release();
  session.release();
  // The quickest tenth: what other programs on the machine cost is not what is asked.
  return quantile(times, 0.1);
}

function buildGraph(kind: Kind): Uint8Array {
  const graph = new GraphBuilder("lora");
  let stream = graph.input("input", "float32", ["rows", 1, width]);
  const ids = kind === "an adapter a row" ? graph.input("ids", "int64", ["rows"]) : null;
  for (let layer = 0; layer < layers; layer += 1) {
    for (const [index, [columns, outputs]] of shapes.entries()) {
      const name = `layers.${layer}.${index}`;
      const product = quantizedProduct(graph, name, stream, columns, outputs);
      stream =
        kind === "base" ? product : graph.op("Add", [product, adapted(graph, name, stream, ids, columns, outputs)]);
    }
  }
  graph.output("output", stream, "float32", ["rows", 1, width]);
  return graph.toBytes();
}

function quantizedProduct(graph: GraphBuilder, name: string, input: Value, columns: number, rows: number): Value {
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, 8, blockSize);
  const packed = new Uint8Array(rows * bytesPerRow);
  const scales = new Float32Array(rows * blocksPerRow);
  quantizeRows(noise(rows * columns, columns), rows, columns, 8, blockSize, packed, scales);
  const weights = graph.initializer(`${name}.packed`, "uint8", [rows, blocksPerRow, blockSize], packed);
  const factors = graph.initializer(`${name}.scales`, "float32", [rows * blocksPerRow], new Uint8Array(scales.buffer));
  const attributes = { K: columns, N: rows, bits: 8, block_size: blockSize, accuracy_level: 4 };
  const [output] = graph.contrib("MatMulNBits", [input, weights, factors], 1, attributes, { name });
  if (output === undefined) throw new Error("a product has one output");
  return output;
}

/** input · A · B, of the one adapter or of each row's own. */
function adapted(
  graph: GraphBuilder,
  name: string,
  input: Value,
  ids: Value | null,
  columns: number,
  outputs: number,
): Value {
  const count = ids === null ? 1 : adapters;
  const factor = (part: string, from: number, to: number) => {
    const dims = ids === null ? [from, to] : [count, from, to];
    const stack = graph.initializer(
      `${name}.${part}`,
      "float32",
      dims,
      new Uint8Array(noise(count * from * to, from * 10).buffer),
    );
    return ids === null ? stack : graph.op("Gather", [stack, ids], { axis: 0 });
  };
  return graph.op("MatMul", [graph.op("MatMul", [input, factor("a", columns, rank)]), factor("b", rank, outputs)]);
}

/** So large that a product of `columns` of them is about as large as its input. */
function noise(count: number, columns: number): Float32Array<ArrayBuffer> {
  const chance = seededChance(count);
  const scale = Math.sqrt(12 / columns);
  return Float32Array.from({ length: count }, () => (chance() - 0.5) * scale);
}
