// The constants of an ONNX file, and the whole-number attributes of the nodes that read them: what it takes to find a
// network's weights again. It reads nothing else of the file, and knows no operator.
import { type DataType, dataTypeOf, type ExternalData } from "./proto.ts";
import { readFields, textOf, type WireField } from "./wire-reader.ts";

// Field numbers of onnx.proto.
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5 } as const;
const NODE = { input: 1, attribute: 5 } as const;
const ATTRIBUTE = { name: 1, int: 3 } as const;
const TENSOR = { dims: 1, type: 2, name: 8, external: 13 } as const;
const ENTRY = { key: 1, value: 2 } as const;

/** A constant whose bytes lie in a file beside the graph. */
export interface ExternalTensor {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly region: ExternalData;
  /** Of the first node that reads it, by attribute. */
  readonly attributes: ReadonlyMap<string, number>;
}

/** Every constant of the graph that lies outside of it, by name. Throws an Error for what is no ONNX file. */
export function readExternalTensors(model: Uint8Array): Map<string, ExternalTensor> {
  const graph = readFields(model).find(({ number }) => number === MODEL_GRAPH);
  if (graph === undefined) throw new Error("the ONNX file has no graph");
  const fields = readFields(graph.payload);
  const readers = new Map<string, Uint8Array>();
  for (const { payload } of fields.filter(({ number }) => number === GRAPH.node)) {
    for (const { payload: input } of readFields(payload).filter(({ number }) => number === NODE.input)) {
      const name = new TextDecoder().decode(input);
      if (!readers.has(name)) readers.set(name, payload);
    }
  }
  const tensors = new Map<string, ExternalTensor>();
  for (const { payload } of fields.filter(({ number }) => number === GRAPH.initializer)) {
    const tensor = readTensor(readFields(payload));
    if (tensor === null) continue;
    const reader = readers.get(tensor.name);
    tensors.set(tensor.name, { ...tensor, attributes: reader === undefined ? new Map() : intAttributes(reader) });
  }
  return tensors;
}

/** Null for a constant that lies inside the graph. */
function readTensor(fields: readonly WireField[]): Omit<ExternalTensor, "attributes"> | null {
  const entries = fields.filter(({ number }) => number === TENSOR.external).map(({ payload }) => payload);
  if (entries.length === 0) return null;
  const place = new Map(entries.map((entry) => [textOf(entry, ENTRY.key), textOf(entry, ENTRY.value)]));
  const name = fields.find(({ number }) => number === TENSOR.name);
  const region = {
    location: place.get("location") ?? "",
    offsetBytes: Number(place.get("offset") ?? 0),
    lengthBytes: Number(place.get("length") ?? 0),
  };
  return {
    name: new TextDecoder().decode(name?.payload),
    type: dataTypeOf(fields.find(({ number }) => number === TENSOR.type)?.value ?? 0),
    dims: fields.filter(({ number }) => number === TENSOR.dims).flatMap(({ payload }) => packedInts(payload)),
    region,
  };
}

function intAttributes(node: Uint8Array): Map<string, number> {
  const attributes = readFields(node).filter(({ number }) => number === NODE.attribute);
  return new Map(
    attributes.flatMap(({ payload }): [string, number][] => {
      const int = readFields(payload).find(({ number }) => number === ATTRIBUTE.int);
      return int === undefined ? [] : [[textOf(payload, ATTRIBUTE.name), int.value]];
    }),
  );
}

/** `repeated int64` in packed form, exact below 2^53. */
function packedInts(payload: Uint8Array): number[] {
  const values: number[] = [];
  let value = 0;
  let factor = 1;
  for (const byte of payload) {
    value += (byte & 127) * factor;
    factor *= 128;
    if (byte >= 128) continue;
    values.push(value);
    value = 0;
    factor = 1;
  }
  return values;
}
