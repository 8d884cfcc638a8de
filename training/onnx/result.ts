// Writes what a training was for: a Hugging Face checkpoint folder that anybody's loader reads, and with adapters also their
// own folder in PEFT's format. Token files are copied to the byte: the template that is served must be the trained one.
// It knows no training.
import { copyFile, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NamedTensor } from "../../runtime/checkpoint/checkpoint-tensors.ts";
import { writeSafetensors } from "../../runtime/checkpoint/safetensors-writer.ts";
import { copyTokenFiles } from "../../runtime/importer/import-checkpoint.ts";
import type { JsonObject } from "../../runtime/importer/json.ts";
import type { RowSource } from "../../runtime/importer/rows.ts";
import type { FloatType } from "../../runtime/importer/safetensors.ts";
import type { FlatBuffer } from "./buffers.ts";
import type { Network } from "./network.ts";
import { specialIds } from "./network-config.ts";
import type { PackedMatrices } from "./packed-matrix.ts";
import { adapterNames, type LoraShape, type Parameter, valueCount } from "./parameters.ts";

const GENERATION_FILE = "generation_config.json";
/** Not needed to serve a model, but some loaders look for it. */
const SPECIAL_TOKENS_FILE = "special_tokens_map.json";
const TYPE_NAMES: Readonly<Record<FloatType, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

export interface ResultOptions {
  readonly runFolder: string;
  readonly tokenizerFolder: string;
  readonly baseFolder: string | null;
  readonly configJson: JsonObject;
  readonly lora: LoraShape | null;
  readonly saveType: FloatType;
}

/** Writes RUN/result, and RUN/adapter where there are adapters. Resolves to the result's folder. */
export async function writeResult(network: Network, options: ResultOptions): Promise<string> {
  const { runFolder, configJson, lora, saveType } = options;
  if (lora !== null)
    await replaceFolder(join(runFolder, "adapter"), (work) => writeAdapter(work, network, lora, options));
  const folder = join(runFolder, "result");
  await replaceFolder(folder, async (work) => {
    const tensors = lora === null ? tensorsOf(network.trained) : await mergedTensors(network, lora);
    await writeSafetensors(join(work, "model.safetensors"), tensors, { type: saveType });
    // Older readers know the type under its older name only: the base's way of writing it is kept.
    const typeField = "torch_dtype" in configJson ? "torch_dtype" : "dtype";
    await writeJson(join(work, "config.json"), { ...configJson, [typeField]: TYPE_NAMES[saveType] });
    await copyAllTokenFiles(options.tokenizerFolder, work);
  });
  return folder;
}

async function writeAdapter(work: string, network: Network, lora: LoraShape, options: ResultOptions): Promise<void> {
  await writeSafetensors(join(work, "adapter_model.safetensors"), tensorsOf(network.trained), { type: "F32" });
  const targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
  await writeJson(join(work, "adapter_config.json"), {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: options.baseFolder,
    r: lora.rank,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    target_modules: targets,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    use_rslora: false,
    use_dora: false,
  });
}

/** Every tensor of the base; a matrix with an adapter is W + alpha / rank · B · A. */
async function mergedTensors({ trained, frozen, packed }: Network, lora: LoraShape): Promise<NamedTensor[]> {
  const adapters = new Map<string, Parameter>(trained.layout.parameters.map((own) => [own.name, own]));
  const merged: NamedTensor[] = [];
  for (const tensor of [...tensorsOf(frozen), ...packedTensors(packed)]) {
    const names = adapterNames(tensor.name.replace(/\.weight$/, ""));
    const down = adapters.get(names.down);
    const up = adapters.get(names.up);
    const isAdapted = down !== undefined && up !== undefined;
    const source = isAdapted
      ? mergedRows(tensor.source, await valuesOf(trained, down), await valuesOf(trained, up), lora)
      : tensor.source;
    merged.push({ ...tensor, source });
  }
  return merged;
}

/** `down` is [rank, columns], `up` is [rows, rank]. */
function mergedRows(base: RowSource, down: Float32Array, up: Float32Array, { rank, alpha }: LoraShape): RowSource {
  const { rows, columns } = base;
  return {
    rows,
    columns,
    async read(first, count, target) {
      await base.read(first, count, target);
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let inner = 0; inner < rank; inner++) {
            sum += up[(first + row) * rank + inner]! * down[inner * columns + column]!;
          }
          target[row * columns + column]! += (alpha / rank) * sum;
        }
      }
    },
  };
}

async function valuesOf(buffer: FlatBuffer, parameter: Parameter): Promise<Float32Array> {
  const values = new Float32Array(valueCount(parameter));
  await buffer.read(parameter, 0, values);
  return values;
}

/** As the network computes with them: what is served is what was trained beside. */
function packedTensors(packed: PackedMatrices): NamedTensor[] {
  return packed.parameters.map((parameter): NamedTensor => {
    const [rows = 0, columns = 0] = parameter.shape;
    let whole: Float32Array | null = null;
    const read: RowSource["read"] = async (first, count, target) => {
      whole ??= await packed.values(parameter);
      target.set(whole.subarray(first * columns, (first + count) * columns));
      if (first + count >= rows) whole = null;
    };
    return { name: parameter.name, isVector: false, source: { rows, columns, read } };
  });
}

function tensorsOf(buffer: FlatBuffer): NamedTensor[] {
  return buffer.layout.parameters.map((parameter) => ({
    name: parameter.name,
    isVector: parameter.shape.length === 1,
    source: buffer.rows(parameter),
  }));
}

/** The ids that end a turn must be somewhere: where no file names them, they are written down. */
async function copyAllTokenFiles(from: string, to: string): Promise<void> {
  await copyTokenFiles(from, to);
  const specialTokens = join(from, SPECIAL_TOKENS_FILE);
  if (await exists(specialTokens)) await copyFile(specialTokens, join(to, SPECIAL_TOKENS_FILE));
  if (await exists(join(to, GENERATION_FILE))) return;
  const ids = Object.entries(await specialIds(from)).filter(([, value]) => value !== null);
  await writeJson(join(to, GENERATION_FILE), Object.fromEntries(ids));
}

/** A folder that is whole, or the earlier one. */
async function replaceFolder(folder: string, fill: (work: string) => Promise<void>): Promise<void> {
  const work = `${folder}.writing`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await fill(work);
  await rm(folder, { recursive: true, force: true });
  await rename(work, folder);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
