// Graphs written by the builder are run by ONNX Runtime: its parser is the judge of the encoding.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { GraphBuilder } from "../../../runtime/onnx/graph-builder.ts";
import { float } from "../../../runtime/onnx/proto.ts";
import { float32Output, float32s, int64Output, openSession } from "../../support/onnx-session.ts";

test("a graph with attributes, constants, optional inputs and several outputs computes what it says", async () => {
  const graph = new GraphBuilder("sampling-head");
  const logits = graph.input("logits", "float32", ["rows", 4]);
  const [values, ids] = graph.ops("TopK", [logits, graph.ints([2])], 2, { axis: -1, largest: 1, sorted: 1 });
  if (values === undefined || ids === undefined) throw new Error("TopK has two outputs");
  const clipped = graph.op("Clip", [values, null, graph.floats(3.5)]);
  graph.output("values", clipped, "float32", ["rows", 2]);
  graph.output("ids", ids, "int64", ["rows", 2]);
  graph.output("best", graph.op("ArgMax", [logits], { axis: -1, keepdims: 0 }), "int64", ["rows"]);
  graph.output("lse", graph.op("ReduceLogSumExp", [logits, graph.ints([-1])], { keepdims: 0 }), "float32", ["rows"]);

  const session = await openSession(graph.toBytes());
  const out = await session.run({ logits: float32s([1, 4, 3, 2, 0, -1, 0, 1], [2, 4]) });
  await session.close();

  expect([...float32Output(out, "values")]).toEqual([3.5, 3, 1, 0]);
  expect(int64Output(out, "ids")).toEqual([1, 2, 3, 0]);
  expect(int64Output(out, "best")).toEqual([1, 3]);
  const sums = [...float32Output(out, "lse")];
  expect(sums[0]).toBeCloseTo(Math.log(Math.E + Math.exp(4) + Math.exp(3) + Math.exp(2)), 5);
  expect(sums[1]).toBeCloseTo(Math.log(2 + Math.exp(-1) + Math.E), 5);
});

test("float attributes reach the operator as floats", async () => {
  const graph = new GraphBuilder("leaky");
  const x = graph.input("x", "float32", ["n"]);
  graph.output("y", graph.op("LeakyRelu", [x], { alpha: float(2) }), "float32", ["n"]);
  const session = await openSession(graph.toBytes());
  const out = await session.run({ x: float32s([-3, 5], [2]) });
  await session.close();
  expect([...float32Output(out, "y")]).toEqual([-6, 5]);
});

test("external data is read from its offset in the file beside the model", async () => {
  const folder = await mkdtemp(join(tmpdir(), "onnx-external-"));
  const graph = new GraphBuilder("external");
  const x = graph.input("x", "float32", [2]);
  const weight = graph.initializer("weight", "float32", [2], {
    location: "weights.data",
    offsetBytes: 4096,
    lengthBytes: 8,
  });
  graph.output("y", graph.op("Mul", [x, weight]), "float32", [2]);
  const data = new Uint8Array(4096 + 8);
  data.set(new Uint8Array(Float32Array.of(3, -2).buffer), 4096);
  await writeFile(join(folder, "weights.data"), data);
  await writeFile(join(folder, "model.onnx"), graph.toBytes());
  const session = await openSession(join(folder, "model.onnx"));
  const out = await session.run({ x: float32s([10, 10], [2]) });
  await session.close();
  await rm(folder, { recursive: true });
  expect([...float32Output(out, "y")]).toEqual([30, -20]);
});

test("an input made an output passes through unchanged", async () => {
  const graph = new GraphBuilder("pass");
  const x = graph.input("x", "float32", ["n"]);
  graph.output("y", x, "float32", ["n"]);
  const session = await openSession(graph.toBytes());
  const out = await session.run({ x: float32s([1, 2, 3], [3]) });
  await session.close();
  expect([...float32Output(out, "y")]).toEqual([1, 2, 3]);
});

test("a result renamed to an output keeps its readers", async () => {
  const graph = new GraphBuilder("rename");
  const x = graph.input("x", "float32", ["n"]);
  const doubled = graph.op("Add", [x, x]);
  graph.output("negative", graph.op("Neg", [doubled]), "float32", ["n"]);
  graph.output("doubled", doubled, "float32", ["n"]);
  const session = await openSession(graph.toBytes());
  const out = await session.run({ x: float32s([1], [1]) });
  await session.close();
  expect([...float32Output(out, "doubled")]).toEqual([2]);
  expect([...float32Output(out, "negative")]).toEqual([-2]);
});

test("equal constants are one initializer", () => {
  const graph = new GraphBuilder("constants");
  expect(graph.ints([1, 2])).toBe(graph.ints([1, 2]));
  expect(graph.ints(1)).not.toBe(graph.ints([1]));
  expect(graph.floats(1)).not.toBe(graph.ints(1));
});

test("mistakes a builder can see are refused by name", () => {
  const graph = new GraphBuilder("mistakes");
  const x = graph.input("x", "float32", ["n"]);
  expect(() => graph.toBytes()).toThrow("graph mistakes has no output");
  expect(() => graph.input("x", "float32", ["n"])).toThrow('the name "x" is taken');
  expect(() => new GraphBuilder("other").op("Neg", [x])).toThrow("value x is not of graph other");
  graph.output("y", graph.op("LeakyRelu", [x], { alpha: 0.5 }, { name: "leak" }), "float32", ["n"]);
  expect(() => graph.toBytes()).toThrow("LeakyRelu leak: attribute alpha is 0.5, not an integer (floats need float())");
});
