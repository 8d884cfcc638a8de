// Makes a folder that `@huggingface/transformers` loads from a model folder of ours: the same nodes over the same weights,
// with the inputs that library has (attention_mask, key-values that grow by a token a step) computed into ours.
// Only the logits of the last position are given out, as that library's own exports can do.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GraphBuilder } from "../../runtime/onnx/graph-builder.ts";
import type { Value } from "../../runtime/onnx/graph-builder.ts";
import { readFields, textOf } from "../../runtime/onnx/wire-reader.ts";
import type { WireField } from "../../runtime/onnx/wire-reader.ts";
import { WireWriter } from "../../runtime/onnx/wire.ts";
import type { NetworkSizes } from "./shapes.ts";

const ROWS_NAME = "logits.rows";
// Field numbers of onnx.proto.
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 } as const;
const CHANGED: ReadonlySet<number> = new Set([GRAPH.node, GRAPH.input, GRAPH.output]);
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;
const VALUE_NAME = 1;
const ONNX_INT32 = 6;

export async function exportForTransformers(
  modelFolder: string,
  checkpointFolder: string,
  target: string,
  sizes: NetworkSizes,
): Promise<void> {
  await mkdir(join(target, "onnx"), { recursive: true });
  const model = await readFile(join(modelFolder, "model.onnx"));
  await writeFile(join(target, "onnx", "model.onnx"), rewriteGraph(model, sizes));
  await copyFile(join(modelFolder, "model.onnx.data"), join(target, "onnx", "model.onnx.data"));
  for (const name of ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]) {
    await writeFile(join(target, name), await readFile(join(checkpointFolder, name)));
  }
}

/** The bytes of our `model.onnx` with the other library's inputs and outputs. */
export function rewriteGraph(model: Uint8Array, sizes: NetworkSizes): Uint8Array {
  const own = readFields(graphOf(model));
  const added = readFields(graphOf(adapterModel(sizes)));
  const addedNodes = added.filter(({ number }) => number === GRAPH.node);
  const graph = [
    ...addedNodes.filter((node) => !readsRows(node)).map(rawOf),
    ...own.filter(({ number }) => number === GRAPH.node).map(({ payload }) => renameLogits(payload)),
    ...addedNodes.filter(readsRows).map(rawOf),
    ...own.filter(({ number }) => !CHANGED.has(number)).map(rawOf),
    ...added.filter(({ number }) => number === GRAPH.initializer).map(rawOf),
    ...added.filter((field) => field.number === GRAPH.input && nameOf(field) !== ROWS_NAME).map(rawOf),
    ...own.filter((field) => field.number === GRAPH.output && nameOf(field) !== "logits").map(rawOf),
    ...added.filter((field) => field.number === GRAPH.output && nameOf(field) === "logits").map(rawOf),
  ];
  const rest = readFields(model).filter(({ number }) => number !== MODEL_GRAPH);
  return Buffer.concat([...rest.map(rawOf), new WireWriter().bytes(MODEL_GRAPH, Buffer.concat(graph)).finish()]);
}

/** The nodes around ours, as a model of their own. The library sizes its first cache by the names of dimensions. */
function adapterModel({ layers, kvHeads, headDim, vocabSize }: NetworkSizes): Uint8Array {
  const graph = new GraphBuilder("adapter");
  const ids = graph.input("input_ids", "int64", ["batch_size", "sequence_length"]);
  const mask = graph.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
  for (let layer = 0; layer < layers; layer += 1) {
    for (const part of ["key", "value"]) {
      graph.input(`past_key_values.${layer}.${part}`, "float32", [
        "batch_size",
        kvHeads,
        "past_sequence_length",
        headDim,
      ]);
    }
  }
  const rows = graph.input(ROWS_NAME, "float32", ["rows", vocabSize]);
  const constant = (name: string, value: number, dims: readonly number[]): Value =>
    graph.initializer(`adapter.${name}`, "int64", dims, new Uint8Array(BigInt64Array.of(BigInt(value)).buffer));
  const op = (name: string, type: string, inputs: readonly Value[], attributes: Record<string, number> = {}): Value =>
    graph.op(type, inputs, attributes, { name: `adapter.${name}` });
  const zero = constant("zero", 0, []);
  const one = constant("one", 1, []);
  const axisOne = constant("axis_one", 1, [1]);
  const lengths = op("lengths", "ReduceSum", [mask, axisOne], { keepdims: 0 });
  const seqlens = op("seqlens", "Cast", [op("last", "Sub", [lengths, one])], { to: ONNX_INT32 });
  const total = op("total", "Gather", [op("mask_shape", "Shape", [mask]), one], { axis: 0 });
  const totalInt32 = op("total_int32", "Cast", [total], { to: ONNX_INT32 });
  // Rows of the flattened batch that are the last of their sequence: (0 … batch - 1) * sequence + sequence - 1.
  const shape = op("ids_shape", "Shape", [ids]);
  const batch = op("batch", "Gather", [shape, zero], { axis: 0 });
  const sequence = op("sequence", "Gather", [shape, one], { axis: 0 });
  const range = op("range", "Range", [zero, batch, one]);
  const ends = op("ends", "Mul", [op("range_plus", "Add", [range, one]), sequence]);
  graph.output("seqlens_k", seqlens, "int32", ["batch_size"]);
  graph.output("total_sequence_length", totalInt32, "int32", []);
  graph.output("logit_rows", op("rows", "Sub", [ends, one]), "int64", ["rows"]);
  graph.output("logits", op("logits", "Unsqueeze", [rows, axisOne]), "float32", ["batch_size", "kept", vocabSize]);
  return graph.toBytes();
}

function graphOf(model: Uint8Array): Uint8Array {
  const graph = readFields(model).find(({ number }) => number === MODEL_GRAPH);
  if (graph === undefined) throw new Error("the ONNX file has no graph");
  return graph.payload;
}

/** A node whose output was the graph's logits gives rows that are still to be shaped. */
function renameLogits(node: Uint8Array): Uint8Array {
  const fields = readFields(node).map((field) => {
    const isLogits = field.number === NODE_OUTPUT && new TextDecoder().decode(field.payload) === "logits";
    return isLogits ? new WireWriter().string(NODE_OUTPUT, ROWS_NAME).finish() : field.raw;
  });
  return new WireWriter().bytes(GRAPH.node, Buffer.concat(fields)).finish();
}

/** The one added node that runs after ours. */
function readsRows(node: WireField): boolean {
  return textOf(node.payload, NODE_INPUT) === ROWS_NAME;
}

function nameOf(value: WireField): string {
  return textOf(value.payload, VALUE_NAME);
}

function rawOf(field: WireField): Uint8Array {
  return field.raw;
}
