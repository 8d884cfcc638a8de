// The weights of a served model as float32 rows, by the names that the importer gave them: stored floats as they are,
// blocks of int8 and int4 times their scales. Reads a bounded piece at a time.
// It knows encodings and places, not what a tensor means in a network.
import { type FileHandle, open, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { badModel } from "../importer/json.ts";
import { type Bits, blockLayout, dequantizeRows } from "../importer/quantize.ts";
import type { RowSource } from "../importer/rows.ts";
import { type ExternalTensor, readExternalTensors } from "../onnx/read-graph.ts";
import type { ExternalData } from "../onnx/proto.ts";

const MODEL_FILE = "model.onnx";

/** An open model folder. Close it when done. */
export class StoredWeights {
  readonly #folder: string;
  readonly #tensors: ReadonlyMap<string, ExternalTensor>;
  readonly #files = new Map<string, FileHandle>();

  private constructor(folder: string, tensors: ReadonlyMap<string, ExternalTensor>) {
    this.#folder = folder;
    this.#tensors = tensors;
  }

  /** Reads the graph and opens the files that it names. Throws `bad_model`. */
  static async open(folder: string): Promise<StoredWeights> {
    const bytes = await readFile(join(folder, MODEL_FILE));
    let tensors;
    try {
      tensors = readExternalTensors(bytes);
    } catch (cause) {
      throw badModel(MODEL_FILE, cause instanceof Error ? cause.message : String(cause));
    }
    const weights = new StoredWeights(folder, tensors);
    try {
      for (const { region } of tensors.values()) await weights.#openFile(region.location);
      return weights;
    } catch (error) {
      await weights.close();
      throw error;
    }
  }

  /**
   * The matrix [rows, columns] that the importer called `name`, or a vector as one of a single column. Throws `bad_model`
   * when it is missing or has another shape.
   */
  rows(name: string, rows: number, columns: number): RowSource {
    const plain = this.#tensors.get(`${name}.weight`) ?? this.#tensors.get(name);
    if (plain !== undefined) return this.#plainRows(plain, rows, columns);
    const packed = this.#tensors.get(`${name}.packed`);
    const scales = this.#tensors.get(`${name}.scales`);
    if (packed === undefined || scales === undefined) throw badModel(MODEL_FILE, `has no weights called ${name}`);
    return this.#blockRows(packed, scales, rows, columns);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
  }

  #plainRows(tensor: ExternalTensor, rows: number, columns: number): RowSource {
    const read = this.#floatReader(tensor, rows * columns);
    return {
      rows,
      columns,
      read: async (first, count, target) => {
        target.set(await read(first * columns, count * columns));
      },
    };
  }

  #blockRows(packed: ExternalTensor, scales: ExternalTensor, rows: number, columns: number): RowSource {
    const bits = packed.attributes.get("bits");
    const blockSize = packed.attributes.get("block_size");
    if ((bits !== 4 && bits !== 8) || blockSize === undefined) {
      throw badModel(MODEL_FILE, `does not say how ${packed.name} is packed`);
    }
    const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits satisfies Bits, blockSize);
    if (packed.region.lengthBytes !== rows * bytesPerRow) throw misshapen(packed, rows, columns);
    const readScales = this.#floatReader(scales, rows * blocksPerRow);
    return {
      rows,
      columns,
      read: async (first, count, target) => {
        const bytes = await this.#read(packed.region, first * bytesPerRow, count * bytesPerRow);
        const factors = await readScales(first * blocksPerRow, count * blocksPerRow);
        target.set(dequantizeRows(bytes, factors, count, columns, bits, blockSize));
      },
    };
  }

  /** Reads values by place and count; all `values` of them must be there. */
  #floatReader(tensor: ExternalTensor, values: number): (first: number, count: number) => Promise<Scalars> {
    const { region, type } = tensor;
    if (type !== "float32" && type !== "float16") throw badModel(MODEL_FILE, `${tensor.name} is of type ${type}`);
    const Values = type === "float32" ? Float32Array : Float16Array;
    const size = Values.BYTES_PER_ELEMENT;
    if (region.lengthBytes !== values * size) throw misshapen(tensor, values, 1);
    return async (first, count) => {
      const { buffer, byteOffset } = await this.#read(region, first * size, count * size);
      return new Values(buffer, byteOffset, count);
    };
  }

  async #read(region: ExternalData, from: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#files.get(region.location);
    if (file === undefined) throw new Error(`${region.location} is not open`);
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await file.read(bytes, done, length - done, region.offsetBytes + from + done);
      if (bytesRead === 0) throw badModel(region.location, "ends before its last weight: truncated");
      done += bytesRead;
    }
    return bytes;
  }

  async #openFile(name: string): Promise<void> {
    if (this.#files.has(name)) return;
    // A file beside the graph; a path could point anywhere on the machine.
    if (name === "" || basename(name) !== name) throw badModel(MODEL_FILE, `keeps weights at ${JSON.stringify(name)}`);
    this.#files.set(name, await open(join(this.#folder, name), "r"));
  }
}

type Scalars = Float32Array | Float16Array;

function misshapen(tensor: ExternalTensor, rows: number, columns: number) {
  const found = `[${tensor.dims.join(", ")}]`;
  return badModel(MODEL_FILE, `${tensor.name} has shape ${found}, which does not hold ${rows} × ${columns} values`);
}
