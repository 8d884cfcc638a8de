// Writes ONNX graphs node by node: values instead of names, constants made once, outputs named last.
// It checks what can be checked without knowing operators (foreign values, duplicate names, a graph without outputs);
// what an operator accepts is known to ONNX Runtime alone and shows when a session is made.
import { encodeModel } from "./proto.ts";
import type { Attribute, DataType, Dimension, ExternalData, NodeProto, TensorProto, ValueInfoProto } from "./proto.ts";

const ONNX_OPSET = 21;
const CONTRIB_OPSET = 1;
/** The first version that knows opset 21. */
const IR_VERSION = 10;
const CONTRIB_DOMAIN = "com.microsoft";

/** Something an operator reads or writes. Belongs to the builder that made it. */
export interface Value {
  /** The name it has in the graph; final once `toBytes` was called. */
  readonly name: string;
}

export interface OpOptions {
  /** Name of the node, shown by profilers; unique names are made when it is left out. */
  readonly name?: string;
  /** Positions of optional outputs that are not computed. Their values may not be read. */
  readonly skipOutputs?: readonly number[];
}

type Attributes = Readonly<Record<string, Attribute>>;

interface OwnValue extends Value {
  name: string;
  /** A node's result that is not a graph output yet may still be renamed. */
  isRenamable: boolean;
}

interface OwnNode {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly OwnValue[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** One graph being built. Nodes run in the order in which they were added. */
export class GraphBuilder {
  readonly #graphName: string;
  readonly #nodes: OwnNode[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: { readonly value: Value; readonly type: DataType; readonly shape: readonly Dimension[] }[] = [];
  readonly #values = new Map<Value, OwnValue>();
  readonly #names = new Set<string>();
  readonly #constants = new Map<string, Value>();
  readonly #metadata = new Map<string, string>();

  constructor(graphName: string) {
    this.#graphName = graphName;
  }

  /** A graph input. */
  input(name: string, type: DataType, shape: readonly Dimension[]): Value {
    this.#inputs.push({ name, type, shape });
    return this.#value(name, false);
  }

  /** Makes `value` a graph output called `name`. */
  output(name: string, value: Value, type: DataType, shape: readonly Dimension[]): void {
    const own = this.#own(value);
    const result = own.isRenamable ? own : this.#own(this.op("Identity", [value]));
    this.#names.delete(result.name);
    this.#claim(name);
    result.name = name;
    result.isRenamable = false;
    this.#outputs.push({ value: result, type, shape });
  }

  /** An initializer: bytes inside the model (little-endian), or a place in a file beside it. */
  initializer(name: string, type: DataType, dims: readonly number[], data: Uint8Array | ExternalData): Value {
    this.#initializers.push({ name, type, dims, data });
    return this.#value(name, false);
  }

  /** A small int64 constant: a number gives a scalar, a list a vector. Equal constants are shared. */
  ints(value: number | readonly number[]): Value {
    const items = typeof value === "number" ? [value] : value;
    const bytes = new Uint8Array(BigInt64Array.from(items, BigInt).buffer);
    return this.#constant("int64", typeof value === "number" ? [] : [items.length], bytes, items.join(","));
  }

  /** A small float32 constant: a number gives a scalar, a list a vector. Equal constants are shared. */
  floats(value: number | readonly number[]): Value {
    const items = typeof value === "number" ? [value] : value;
    const bytes = new Uint8Array(Float32Array.from(items).buffer);
    return this.#constant("float32", typeof value === "number" ? [] : [items.length], bytes, items.join(","));
  }

  /** A node of ONNX's own operator set with one output. `null` leaves an optional input out. */
  op(opType: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, options: OpOptions = {}): Value {
    const [output] = this.#node("", opType, inputs, 1, attributes, options);
    if (output === undefined) throw new Error("a node has at least one output");
    return output;
  }

  /** The same for a node with several outputs. */
  ops(
    opType: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes: Attributes = {},
    options: OpOptions = {},
  ): Value[] {
    return this.#node("", opType, inputs, outputs, attributes, options);
  }

  /** A node of ONNX Runtime's contrib operators (com.microsoft) with `outputs` outputs. */
  contrib(
    opType: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes: Attributes = {},
    options: OpOptions = {},
  ): Value[] {
    return this.#node(CONTRIB_DOMAIN, opType, inputs, outputs, attributes, options);
  }

  /** A key and value that travel in the model file. */
  metadata(key: string, value: string): void {
    this.#metadata.set(key, value);
  }

  /** The `.onnx` file. The builder may be used further and encoded again. */
  toBytes(): Uint8Array {
    if (this.#outputs.length === 0) throw new Error(`graph ${this.#graphName} has no output`);
    const nodes: NodeProto[] = this.#nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((input) => input?.name ?? ""),
      outputs: node.outputs.map((output) => output.name),
    }));
    return encodeModel({
      irVersion: IR_VERSION,
      producer: "realchat",
      opsets: new Map([
        ["", ONNX_OPSET],
        [CONTRIB_DOMAIN, CONTRIB_OPSET],
      ]),
      graphName: this.#graphName,
      nodes,
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: this.#outputs.map(({ value, type, shape }) => ({ name: value.name, type, shape })),
      metadata: this.#metadata,
    });
  }

  #node(
    domain: string,
    opType: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes: Attributes,
    options: OpOptions,
  ): Value[] {
    for (const input of inputs) if (input !== null) this.#own(input);
    const name = options.name ?? `${opType}_${this.#nodes.length}`;
    const results = Array.from({ length: outputs }, (_, index) => {
      // An unregistered value: its empty name leaves the output out, and reading it fails as foreign.
      if (options.skipOutputs?.includes(index) === true) return { name: "", isRenamable: false };
      return this.#value(outputs === 1 ? `${name}:out` : `${name}:out${index}`, true);
    });
    this.#nodes.push({
      opType,
      domain,
      name,
      inputs,
      outputs: results,
      attributes: new Map(Object.entries(attributes)),
    });
    return results;
  }

  #constant(type: DataType, dims: readonly number[], data: Uint8Array, text: string): Value {
    const name = `const:${type}${dims.length === 0 ? "" : "[]"}:${text}`;
    const known = this.#constants.get(name);
    if (known !== undefined) return known;
    const value = this.initializer(name, type, dims, data);
    this.#constants.set(name, value);
    return value;
  }

  #value(name: string, isRenamable: boolean): OwnValue {
    this.#claim(name);
    const value: OwnValue = { name, isRenamable };
    this.#values.set(value, value);
    return value;
  }

  #own(value: Value): OwnValue {
    const own = this.#values.get(value);
    if (own === undefined) throw new Error(`value ${value.name} is not of graph ${this.#graphName}`);
    return own;
  }

  #claim(name: string): void {
    if (name === "" || this.#names.has(name)) {
      throw new Error(`graph ${this.#graphName}: the name "${name}" is ${name === "" ? "empty" : "taken"}`);
    }
    this.#names.add(name);
  }
}
