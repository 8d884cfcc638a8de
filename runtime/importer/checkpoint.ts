// A Hugging Face checkpoint folder's tensors, from one safetensors file or from shards with an index.
// Tensors are asked for by name and shape, so that a wrong checkpoint fails before anything is written,
// and those nobody asked for are reported: weights that would be silently ignored change what the model says.
import { access } from "node:fs/promises";
import { basename, join } from "node:path";
import { badModel, isObject, readOptionalJsonObject } from "./json.ts";
import type { RowSource } from "./rows.ts";
import { floatType, openSafetensors } from "./safetensors.ts";
import type { SafetensorsFile, TensorEntry } from "./safetensors.ts";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

interface Located {
  readonly file: SafetensorsFile;
  readonly tensor: TensorEntry;
}

/** The open files of a checkpoint. */
export class Checkpoint {
  /** Names of the weight files, in reading order. */
  readonly fileNames: readonly string[];
  readonly #tensors: ReadonlyMap<string, Located>;
  readonly #files: readonly SafetensorsFile[];
  readonly #asked = new Set<string>();

  private constructor(files: readonly SafetensorsFile[], tensors: ReadonlyMap<string, Located>) {
    this.#files = files;
    this.#tensors = tensors;
    this.fileNames = files.map((file) => file.fileName);
  }

  /** Opens the weights in `folder`; throws `bad_model` when they are missing or broken. Close it when done. */
  static async open(folder: string): Promise<Checkpoint> {
    const index = await readOptionalJsonObject(join(folder, INDEX_FILE));
    const weightMap = index === null ? null : parseIndex(index["weight_map"]);
    const names = weightMap === null ? [SINGLE_FILE] : [...new Set(weightMap.values())].toSorted();
    const files: SafetensorsFile[] = [];
    try {
      for (const name of names) files.push(await openFile(folder, name, weightMap !== null));
      return new Checkpoint(files, locate(files, weightMap));
    } catch (error) {
      await Promise.all(files.map((file) => file.close()));
      throw error;
    }
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** A matrix [rows, columns]. Throws `bad_model` when it is missing or has another shape or an unreadable type. */
  matrix(name: string, rows: number, columns: number): RowSource {
    return this.#source(name, [rows, columns]);
  }

  /** A vector as a matrix of one column. */
  vector(name: string, length: number): RowSource {
    return this.#source(name, [length]);
  }

  /** Marks a tensor as known and rightly left out. */
  ignore(name: string): void {
    this.#asked.add(name);
  }

  /** Throws `bad_model` naming a tensor that was neither asked for nor ignored. */
  assertAllAsked(): void {
    for (const [name, { file }] of this.#tensors) {
      if (!this.#asked.has(name)) {
        throw badModel(file.fileName, `tensor ${name} has no place in the architecture that config.json names`);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }

  #source(name: string, shape: readonly number[]): RowSource {
    const located = this.#tensors.get(name);
    if (located === undefined) throw badModel(this.fileNames.join(", "), `tensor ${name} is missing`);
    const { file, tensor } = located;
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
      throw badModel(
        file.fileName,
        `tensor ${name} has shape [${tensor.shape.join(", ")}], but config.json asks for [${shape.join(", ")}]`,
      );
    }
    floatType(tensor, file.fileName);
    this.#asked.add(name);
    const [rows = 0, columns = 1] = shape;
    return {
      rows,
      columns,
      read: (first, count, target) => file.readValues(tensor, first * columns, target.subarray(0, count * columns)),
    };
  }
}

async function openFile(folder: string, name: string, isShard: boolean): Promise<SafetensorsFile> {
  const path = join(folder, name);
  try {
    await access(path);
  } catch {
    const hint = isShard ? `named by ${INDEX_FILE} but ` : `(nor ${INDEX_FILE}; only safetensors are read) `;
    throw badModel(name, `${hint}missing from ${folder}`);
  }
  return openSafetensors(path);
}

function parseIndex(value: unknown): Map<string, string> {
  if (!isObject(value)) throw badModel(INDEX_FILE, "field weight_map must be an object of tensor names to file names");
  const entries = Object.entries(value).map(([tensor, file]): [string, string] => {
    // A shard lies beside its index; a path could point anywhere on the machine.
    if (typeof file !== "string" || file === "" || basename(file) !== file) {
      throw badModel(INDEX_FILE, `tensor ${tensor} is mapped to ${JSON.stringify(file)}, not to a file name`);
    }
    return [tensor, file];
  });
  if (entries.length === 0) throw badModel(INDEX_FILE, "field weight_map is empty");
  return new Map(entries);
}

function locate(
  files: readonly SafetensorsFile[],
  weightMap: ReadonlyMap<string, string> | null,
): Map<string, Located> {
  const tensors = new Map<string, Located>();
  for (const file of files) {
    for (const tensor of file.tensors.values()) {
      const other = tensors.get(tensor.name);
      if (other !== undefined) {
        throw badModel(file.fileName, `tensor ${tensor.name} is also in ${other.file.fileName}`);
      }
      tensors.set(tensor.name, { file, tensor });
    }
  }
  for (const [name, fileName] of weightMap ?? []) {
    if (tensors.get(name)?.file.fileName !== fileName) {
      throw badModel(fileName, `tensor ${name}, which ${INDEX_FILE} places here, is missing`);
    }
  }
  return tensors;
}
