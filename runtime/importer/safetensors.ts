// The safetensors file format: a checked header, and float values read range by range.
// A header is believed only when its tensors tile the data exactly; every complaint names file and tensor.
// It knows one file; which tensors a model needs is checkpoint.ts.
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { badModel, isObject, parseJsonObject } from "./json.ts";

const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
/** Of the types whose values are read and written. */
export const VALUE_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
/** Types that other checkpoints may hold: their size is needed to check a header, their values are never read. */
const OTHER_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

export type FloatType = keyof typeof VALUE_BYTES;

export interface TensorEntry {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** An open file. Close it when done. */
export interface SafetensorsFile {
  readonly fileName: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** What the file says about itself; entries that are no text are left out. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Fills `target` with the tensor's values from `firstValue` on. The tensor must be of a FloatType. */
  readValues(tensor: TensorEntry, firstValue: number, target: Float32Array): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file and checks its header. Throws `bad_model`. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const fileName = basename(path);
  const handle = await open(path, "r");
  try {
    const { tensors, metadata } = await readHeader(handle, fileName);
    let scratch = new Uint8Array(0);
    return {
      fileName,
      tensors,
      metadata,
      async readValues(tensor, firstValue, target) {
        const type = floatType(tensor, fileName);
        const bytesPerValue = VALUE_BYTES[type];
        const bytes = target.length * bytesPerValue;
        if (scratch.length < bytes) scratch = new Uint8Array(bytes);
        const raw = scratch.subarray(0, bytes);
        await readFully(handle, fileName, raw, tensor.offsetBytes + firstValue * bytesPerValue);
        decodeFloats(type, raw, target);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The tensor's type when its values can be read; otherwise throws `bad_model`. */
export function floatType(tensor: TensorEntry, fileName: string): FloatType {
  if (tensor.type === "F32" || tensor.type === "F16" || tensor.type === "BF16") return tensor.type;
  throw badModel(fileName, `tensor ${tensor.name} has type ${tensor.type}; supported are F32, F16 and BF16`);
}

/** Little-endian bytes of `type` as float32. `raw` must start at a multiple of four in its buffer. */
export function decodeFloats(type: FloatType, raw: Uint8Array, target: Float32Array): void {
  if (type === "F32") {
    target.set(new Float32Array(raw.buffer, raw.byteOffset, target.length));
  } else if (type === "F16") {
    target.set(new Float16Array(raw.buffer, raw.byteOffset, target.length));
  } else {
    const halves = new Uint16Array(raw.buffer, raw.byteOffset, target.length);
    const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
    for (let i = 0; i < words.length; i++) words[i] = halves[i]! << 16;
  }
}

async function readHeader(
  handle: FileHandle,
  fileName: string,
): Promise<Pick<SafetensorsFile, "tensors" | "metadata">> {
  const { size } = await handle.stat();
  if (size < LENGTH_BYTES) throw badModel(fileName, `is ${size} bytes long, too short for a safetensors file`);
  const lengthField = new Uint8Array(LENGTH_BYTES);
  await readFully(handle, fileName, lengthField, 0);
  const headerBytes = Number(new DataView(lengthField.buffer).getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES || LENGTH_BYTES + headerBytes > size) {
    throw badModel(
      fileName,
      `says its header has ${headerBytes} bytes, but the file has ${size}: corrupted or truncated`,
    );
  }
  const text = new Uint8Array(headerBytes);
  await readFully(handle, fileName, text, LENGTH_BYTES);
  const header = parseJsonObject(new TextDecoder().decode(text), `${fileName} header`);
  const dataStart = LENGTH_BYTES + headerBytes;
  const tensors = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => parseEntry(name, entry, fileName, dataStart));
  assertTiled(tensors, fileName, dataStart, size);
  const { __metadata__: metadata } = header;
  const texts = Object.entries(isObject(metadata) ? metadata : {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata: Object.fromEntries(texts) };
}

function parseEntry(name: string, entry: unknown, fileName: string, dataStart: number): TensorEntry {
  const fail = (sentence: string) => badModel(fileName, `tensor ${name} ${sentence}`);
  if (!isObject(entry)) throw fail("has no description");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string") throw fail("has no dtype");
  if (!isIndexList(shape)) throw fail("has a broken shape");
  if (!isIndexList(offsets) || offsets.length !== 2) throw fail("has broken data_offsets");
  const [begin = 0, end = 0] = offsets;
  const bytesPerValue = { ...OTHER_BYTES, ...VALUE_BYTES }[dtype];
  if (bytesPerValue === undefined) throw fail(`has the unknown dtype ${dtype}`);
  const expected = shape.reduce((product, size) => product * size, bytesPerValue);
  if (end - begin !== expected) {
    throw fail(`has ${end - begin} bytes, but its shape [${shape.join(", ")}] in ${dtype} needs ${expected}`);
  }
  return { name, type: dtype, shape, offsetBytes: dataStart + begin, lengthBytes: expected };
}

/** No overlap, no gap, no byte too few or too many. */
function assertTiled(tensors: readonly TensorEntry[], fileName: string, dataStart: number, size: number): void {
  const inOrder = tensors.toSorted((a, b) => a.offsetBytes - b.offsetBytes || a.lengthBytes - b.lengthBytes);
  let end = dataStart;
  let previous = "the header";
  for (const tensor of inOrder) {
    if (tensor.offsetBytes !== end) {
      const relation = tensor.offsetBytes < end ? "overlaps" : "leaves a gap behind";
      throw badModel(fileName, `tensor ${tensor.name} ${relation} ${previous}`);
    }
    end += tensor.lengthBytes;
    previous = `tensor ${tensor.name}`;
    if (end > size) {
      throw badModel(fileName, `tensor ${tensor.name} ends at byte ${end}, but the file has ${size}: truncated`);
    }
  }
  if (end !== size) throw badModel(fileName, `has ${size - end} bytes behind its last tensor`);
}

function isIndexList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && Number(item) >= 0);
}

async function readFully(handle: FileHandle, fileName: string, target: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) throw badModel(fileName, `ends at byte ${position + done}: truncated while it was read`);
    done += bytesRead;
  }
}
