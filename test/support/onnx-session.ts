// Runs an ONNX graph in tests through onnxruntime-node's own session: the only test file that knows which runner is used.
// Inputs and outputs are typed arrays with dimensions; values cross by copy, so nothing here is quick.
import { InferenceSession, Tensor } from "onnxruntime-node";

export type TensorData =
  | { readonly type: "float32"; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: "float16"; readonly dims: readonly number[]; readonly data: Float16Array }
  | { readonly type: "int64"; readonly dims: readonly number[]; readonly data: BigInt64Array }
  | { readonly type: "int32"; readonly dims: readonly number[]; readonly data: Int32Array };

export interface TestSession {
  run(feeds: Readonly<Record<string, TensorData>>): Promise<ReadonlyMap<string, TensorData>>;
  close(): Promise<void>;
}

/** Loads a model from its bytes or, for one with external data, its path. */
export async function openSession(model: Uint8Array | string, threads = 1): Promise<TestSession> {
  const options: InferenceSession.SessionOptions = { intraOpNumThreads: threads, logSeverityLevel: 3 };
  const session =
    typeof model === "string"
      ? await InferenceSession.create(model, options)
      : await InferenceSession.create(model, options);
  return {
    async run(feeds) {
      const tensors = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toTensor(feed)]));
      const results = await session.run(tensors);
      return new Map(Object.entries(results).map(([name, tensor]) => [name, fromTensor(name, tensor)]));
    },
    close: () => session.release(),
  };
}

export function int64s(values: readonly number[], dims: readonly number[] = [values.length]): TensorData {
  return { type: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

export function float32s(values: Iterable<number>, dims: readonly number[]): TensorData {
  return { type: "float32", dims, data: Float32Array.from(values) };
}

/** The float32 data of a named output; fails when it is missing or of another type. */
export function float32Output(outputs: ReadonlyMap<string, TensorData>, name: string): Float32Array {
  const tensor = outputs.get(name);
  if (tensor?.type !== "float32") throw new Error(`output ${name} is ${tensor?.type ?? "missing"}, not float32`);
  return tensor.data;
}

/** The same for int64 outputs, as numbers. */
export function int64Output(outputs: ReadonlyMap<string, TensorData>, name: string): number[] {
  const tensor = outputs.get(name);
  if (tensor?.type !== "int64") throw new Error(`output ${name} is ${tensor?.type ?? "missing"}, not int64`);
  return Array.from(tensor.data, Number);
}

function toTensor(feed: TensorData): Tensor {
  const { type, dims, data } = feed;
  if (type === "float32") return new Tensor(type, data, dims);
  if (type === "float16") return new Tensor(type, new Uint16Array(data.buffer, data.byteOffset, data.length), dims);
  if (type === "int64") return new Tensor(type, data, dims);
  return new Tensor(type, data, dims);
}

function fromTensor(name: string, tensor: Tensor): TensorData {
  const { data, dims } = tensor;
  const raw: unknown = data;
  if (raw instanceof Float32Array) return { type: "float32", dims, data: raw };
  if (raw instanceof Float16Array) return { type: "float16", dims, data: raw };
  if (raw instanceof Uint16Array) {
    return { type: "float16", dims, data: new Float16Array(raw.buffer, raw.byteOffset, raw.length) };
  }
  if (raw instanceof BigInt64Array) return { type: "int64", dims, data: raw };
  if (raw instanceof Int32Array) return { type: "int32", dims, data: raw };
  throw new Error(`output ${name} has type ${tensor.type}, which tests do not read`);
}
