// ONNX messages as plain values, and their encoding: the field numbers of onnx.proto live here and nowhere else.
// Only what an inference or training graph needs: no sub-graphs, no functions, no sparse tensors.
// It knows nothing about operators; graph-builder.ts makes these values.
import { WireWriter } from "./wire.ts";

/** Element types and their ONNX numbers. */
const DATA_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
} as const;

export type DataType = keyof typeof DATA_TYPES;

/** The element type with an ONNX number. Throws an Error for one that is not known here. */
export function dataTypeOf(number: number): DataType {
  const found = Object.entries(DATA_TYPES).find(([, candidate]) => candidate === number);
  if (found === undefined) throw new Error(`the ONNX element type ${number} is not known`);
  return found[0] as DataType;
}

/** Where a tensor's bytes lie in a file beside the model. */
export interface ExternalData {
  /** Path relative to the model file. */
  readonly location: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A constant: little-endian bytes inside the model, or a reference to them outside. */
export interface TensorProto {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly data: Uint8Array | ExternalData;
}

/** A number is an int attribute and must be an integer; floats are marked with `float()`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: TensorProto };

export interface NodeProto {
  readonly opType: string;
  /** `""` for ONNX itself, `com.microsoft` for ONNX Runtime's contrib operators. */
  readonly domain: string;
  readonly name: string;
  /** An empty name stands for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** A dimension is a fixed size or the name of one that each run chooses. */
export type Dimension = number | string;

export interface ValueInfoProto {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly Dimension[];
}

export interface ModelProto {
  readonly irVersion: number;
  readonly producer: string;
  /** Domain → version. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graphName: string;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Marks an attribute as a float, which JavaScript cannot tell from an int. */
export function float(value: number): { readonly float: number } {
  return { float: value };
}

/** The bytes of a `.onnx` file. Throws a TypeError for an int attribute that is not an integer. */
export function encodeModel(model: ModelProto): Uint8Array {
  const writer = new WireWriter();
  writer.int(1, model.irVersion).string(2, model.producer);
  writer.message(7, (graph) => {
    for (const node of model.nodes) graph.message(1, (inner) => writeNode(inner, node));
    graph.string(2, model.graphName);
    for (const tensor of model.initializers) graph.message(5, (inner) => writeTensor(inner, tensor));
    for (const value of model.inputs) graph.message(11, (inner) => writeValueInfo(inner, value));
    for (const value of model.outputs) graph.message(12, (inner) => writeValueInfo(inner, value));
  });
  for (const [domain, version] of model.opsets) {
    writer.message(8, (inner) => inner.string(1, domain).int(2, version));
  }
  for (const [key, value] of model.metadata) {
    writer.message(14, (inner) => inner.string(1, key).string(2, value));
  }
  return writer.finish();
}

function writeNode(writer: WireWriter, node: NodeProto): void {
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(3, node.name).string(4, node.opType);
  for (const [name, value] of node.attributes) {
    writer.message(5, (inner) => writeAttribute(inner, node, name, value));
  }
  writer.string(7, node.domain);
}

function writeAttribute(writer: WireWriter, node: NodeProto, name: string, value: Attribute): void {
  writer.string(1, name);
  if (typeof value === "number") {
    assertInteger(node, name, value);
    writer.int(3, value).int(20, 2);
  } else if (typeof value === "string") {
    writer.string(4, value).int(20, 3);
  } else if ("float" in value) {
    writer.float(2, value.float).int(20, 1);
  } else if ("floats" in value) {
    writer.packedFloats(7, value.floats).int(20, 6);
  } else if ("tensor" in value) {
    writer.message(5, (inner) => writeTensor(inner, value.tensor)).int(20, 4);
  } else {
    for (const item of value) assertInteger(node, name, item);
    writer.packedInts(8, value).int(20, 7);
  }
}

function assertInteger(node: NodeProto, name: string, value: number): void {
  if (Number.isSafeInteger(value)) return;
  throw new TypeError(
    `${node.opType} ${node.name}: attribute ${name} is ${value}, not an integer (floats need float())`,
  );
}

function writeTensor(writer: WireWriter, tensor: TensorProto): void {
  writer.packedInts(1, tensor.dims).int(2, DATA_TYPES[tensor.type]).string(8, tensor.name);
  const { data } = tensor;
  if (data instanceof Uint8Array) {
    writer.bytes(9, data);
    return;
  }
  const entries = { location: data.location, offset: String(data.offsetBytes), length: String(data.lengthBytes) };
  for (const [key, value] of Object.entries(entries)) {
    writer.message(13, (inner) => inner.string(1, key).string(2, value));
  }
  writer.int(14, 1);
}

function writeValueInfo(writer: WireWriter, value: ValueInfoProto): void {
  writer.string(1, value.name).message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.int(1, DATA_TYPES[value.type]).message(2, (shape) => {
        for (const dimension of value.shape) {
          shape.message(1, (inner) => {
            if (typeof dimension === "number") inner.int(1, dimension);
            else inner.string(2, dimension);
          });
        }
      });
    }),
  );
}
