// What the builder wrote is found again: places outside the graph, and whole-number attributes of whoever reads them.
import { expect, test } from "vitest";
import { GraphBuilder } from "../../../runtime/onnx/graph-builder.ts";
import { readExternalTensors } from "../../../runtime/onnx/read-graph.ts";

test("constants outside the graph come with type, shape, place and their reader's attributes", () => {
  const graph = new GraphBuilder("test");
  const input = graph.input("input", "float32", ["rows", 300]);
  const packed = { location: "data", offsetBytes: 2 ** 33, lengthBytes: 300 };
  const scales = { location: "data", offsetBytes: 64, lengthBytes: 20 };
  const weight = graph.initializer("weight", "uint8", [10, 1, 30], packed);
  const factors = graph.initializer("scales", "float16", [10], scales);
  const inside = graph.floats([1, 2]);
  const attributes = { K: 300, N: 10, bits: 4, block_size: 64 };
  const [output] = graph.contrib("MatMulNBits", [input, weight, factors], 1, attributes, { name: "product" });
  graph.output("output", graph.op("Add", [output!, inside]), "float32", ["rows", 10]);
  const tensors = readExternalTensors(graph.toBytes());
  expect([...tensors.keys()]).toEqual(["weight", "scales"]);
  expect(tensors.get("weight")).toEqual({
    name: "weight",
    type: "uint8",
    dims: [10, 1, 30],
    region: packed,
    attributes: new Map(Object.entries(attributes)),
  });
  expect(tensors.get("scales")).toMatchObject({ type: "float16", dims: [10], region: scales });
});

test("what is no ONNX file is an error", () => {
  expect(() => readExternalTensors(new TextEncoder().encode("no network"))).toThrow(/protobuf/);
  expect(() => readExternalTensors(new Uint8Array())).toThrow("the ONNX file has no graph");
});
