// Turns a Hugging Face checkpoint folder into a GGUF file for llama.cpp: names, metadata, and the order of rotated rows.
// It knows the two architectures of shapes.ts; bytes and quantization are gguf-writer.ts.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors } from "../../runtime/importer/safetensors.ts";
import type { SafetensorsFile } from "../../runtime/importer/safetensors.ts";
import { encodeHeader, encodeValues, tensorBytes } from "./gguf-writer.ts";
import type { GgufTensor, GgufType, GgufValue } from "./gguf-writer.ts";
import { tensorSpecs } from "./checkpoint-writer.ts";
import type { TensorSpec } from "./checkpoint-writer.ts";
import type { NetworkSizes } from "./shapes.ts";

const CHUNK_VALUES = 1 << 20;
const NORMAL_TOKEN = 1;
const CONTROL_TOKEN = 3;
const BYTE_TOKEN = 6;

const NAMES: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

/** Writes `path` from the checkpoint in `folder`, matrices in `type`, the embedding (which is the head) too. */
export async function writeGguf(
  folder: string,
  path: string,
  sizes: NetworkSizes,
  windowTokens: number,
  type: Exclude<GgufType, "F32">,
): Promise<void> {
  const specs = tensorSpecs(sizes);
  const tensors = specs.map((spec) => ggufTensor(spec, type));
  const source = await openSafetensors(join(folder, "model.safetensors"));
  const file = await open(path, "w");
  try {
    await file.writeFile(encodeHeader(metadataOf(sizes, windowTokens, type), tensors));
    for (const [index, spec] of specs.entries()) {
      for await (const bytes of encodedTensor(source, spec, tensors[index]!, sizes)) await file.writeFile(bytes);
    }
  } finally {
    await file.close();
    await source.close();
  }
}

/** llama.cpp's name for a Hugging Face tensor. */
export function ggufName(name: string): string {
  const layered = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const plain = /^(.+)\.(weight|bias)$/.exec(name);
  const [stem, kind] = layered === null ? [plain?.[1] ?? "", plain?.[2]] : [layered[2]!, layered[3]];
  const known = NAMES[stem];
  if (known === undefined) throw new Error(`no GGUF name for ${name}`);
  return layered === null ? `${known}.${kind}` : `blk.${layered[1]}.${known}.${kind}`;
}

/** Where row `row` of a head comes from: llama.cpp rotates neighbouring rows of Llama heads, Hugging Face the halves. */
export function sourceRow(row: number, headDim: number): number {
  const inHead = row % headDim;
  return row - inHead + (inHead % 2) * (headDim / 2) + Math.floor(inHead / 2);
}

function ggufTensor({ name, shape }: TensorSpec, type: GgufType): GgufTensor {
  return { name: ggufName(name), shape, type: shape.length === 1 ? "F32" : type };
}

async function* encodedTensor(
  source: SafetensorsFile,
  spec: TensorSpec,
  tensor: GgufTensor,
  sizes: NetworkSizes,
): AsyncGenerator<Uint8Array> {
  const entry = source.tensors.get(spec.name);
  if (entry === undefined) throw new Error(`the checkpoint has no ${spec.name}`);
  const [rows = 1, columns = 1] = spec.shape.length === 1 ? [1, spec.shape[0]] : spec.shape;
  const isRotated = sizes.architecture === "llama" && /self_attn\.[qk]_proj/.test(spec.name);
  const step = isRotated ? rows : Math.max(1, Math.floor(CHUNK_VALUES / columns));
  let written = 0;
  for (let first = 0; first < rows; first += step) {
    let values = new Float32Array(Math.min(step, rows - first) * columns);
    await source.readValues(entry, first * columns, values);
    if (isRotated) values = reorderRows(values, columns, sizes.headDim);
    const bytes = encodeValues(tensor.type, values);
    written += bytes.length;
    yield bytes;
  }
  yield new Uint8Array(tensorBytes(tensor) - written);
}

function reorderRows(values: Float32Array, columns: number, headDim: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  for (let row = 0; row * columns < values.length; row += 1) {
    const from = sourceRow(row, headDim) * columns;
    result.set(values.subarray(from, from + columns), row * columns);
  }
  return result;
}

function metadataOf(sizes: NetworkSizes, windowTokens: number, type: Exclude<GgufType, "F32">): Map<string, GgufValue> {
  const { architecture } = sizes;
  const { tokens, types } = vocabulary(sizes.vocabSize);
  return new Map<string, GgufValue>([
    ["general.architecture", text(architecture)],
    ["general.name", text("random")],
    ["general.file_type", uint(type === "Q4_0" ? 2 : 7)],
    [`${architecture}.context_length`, uint(windowTokens)],
    [`${architecture}.embedding_length`, uint(sizes.hiddenSize)],
    [`${architecture}.block_count`, uint(sizes.layers)],
    [`${architecture}.feed_forward_length`, uint(sizes.intermediateSize)],
    [`${architecture}.attention.head_count`, uint(sizes.heads)],
    [`${architecture}.attention.head_count_kv`, uint(sizes.kvHeads)],
    [`${architecture}.attention.layer_norm_rms_epsilon`, float(1e-5)],
    [`${architecture}.rope.freq_base`, float(sizes.ropeTheta)],
    [`${architecture}.rope.dimension_count`, uint(sizes.headDim)],
    [`${architecture}.vocab_size`, uint(sizes.vocabSize)],
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.scores", { type: "float32s", value: tokens.map(() => 0) }],
    ["tokenizer.ggml.token_type", { type: "int32s", value: types }],
    ["tokenizer.ggml.bos_token_id", uint(1)],
    ["tokenizer.ggml.eos_token_id", uint(2)],
    ["tokenizer.ggml.unknown_token_id", uint(0)],
  ]);
}

function uint(value: number): GgufValue {
  return { type: "uint32", value };
}

function float(value: number): GgufValue {
  return { type: "float32", value };
}

function text(value: string): GgufValue {
  return { type: "string", value };
}

/** Loaders insist on control and byte tokens; text is never made of them here. */
function vocabulary(size: number): { readonly tokens: string[]; readonly types: number[] } {
  const special = ["<unk>", "<s>", "</s>"];
  const tokens = Array.from({ length: size }, (_, id) => {
    const byte = id - special.length;
    if (byte < 0) return special[id]!;
    return byte < 256 ? `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>` : `t${id}`;
  });
  const types = tokens.map((_, id) => {
    if (id < special.length) return CONTROL_TOKEN;
    return id < special.length + 256 ? BYTE_TOKEN : NORMAL_TOKEN;
  });
  return { tokens, types };
}
