// Writes a Hugging Face checkpoint folder of random bfloat16 weights: config, tokens, one safetensors file, streamed.
// Equal sizes and seed give equal bytes. It knows tensor names and shapes; it does not know what reads them.
import { mkdir, open, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { NetworkSizes } from "./shapes.ts";

export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Norms are constant: random ones would let activations run away. Null draws every value. */
  readonly constant: number | null;
}

const CHUNK_VALUES = 1 << 20;
const TABLE_SIZE = 4096;
const STANDARD_DEVIATION = 0.02;
/** Makes the last layer's choices as sharp as a trained network's, which sampling from the best few depends on. */
const FINAL_NORM = 8;
const BEGIN_ID = 1;
const END_ID = 2;

/** Every tensor of a tied decoder, in file order. */
export function tensorSpecs(sizes: NetworkSizes): TensorSpec[] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = sizes;
  const specs: TensorSpec[] = [];
  const matrix = (name: string, rows: number, columns: number): void => {
    specs.push({ name: `${name}.weight`, shape: [rows, columns], constant: null });
  };
  const norm = (name: string, constant = 1): void => {
    specs.push({ name: `${name}.weight`, shape: [hiddenSize], constant });
  };
  matrix("model.embed_tokens", sizes.vocabSize, hiddenSize);
  for (let layer = 0; layer < sizes.layers; layer += 1) {
    const prefix = `model.layers.${layer}`;
    norm(`${prefix}.input_layernorm`);
    for (const [letter, count] of [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const) {
      const name = `${prefix}.self_attn.${letter}_proj`;
      matrix(name, count * headDim, hiddenSize);
      if (sizes.architecture === "qwen2") {
        specs.push({ name: `${name}.bias`, shape: [count * headDim], constant: null });
      }
    }
    matrix(`${prefix}.self_attn.o_proj`, hiddenSize, heads * headDim);
    norm(`${prefix}.post_attention_layernorm`);
    matrix(`${prefix}.mlp.gate_proj`, intermediateSize, hiddenSize);
    matrix(`${prefix}.mlp.up_proj`, intermediateSize, hiddenSize);
    matrix(`${prefix}.mlp.down_proj`, hiddenSize, intermediateSize);
  }
  norm("model.norm", FINAL_NORM);
  return specs;
}

/** Writes the whole folder. */
export async function writeCheckpoint(
  folder: string,
  sizes: NetworkSizes,
  windowTokens: number,
  seed: number,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeJson(folder, "config.json", configOf(sizes, windowTokens));
  await writeJson(folder, "tokenizer.json", {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [BEGIN_ID, END_ID].map((id) => ({
      id,
      content: id === BEGIN_ID ? "<s>" : "</s>",
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: "BPE", vocab: { a: 0, "<s>": BEGIN_ID, "</s>": END_ID }, merges: [] },
  });
  await writeJson(folder, "tokenizer_config.json", {
    bos_token: "<s>",
    eos_token: "</s>",
    chat_template: "{% for message in messages %}{{ message.content }}</s>{% endfor %}",
  });
  await writeJson(folder, "generation_config.json", { eos_token_id: END_ID });
  await writeWeights(join(folder, "model.safetensors"), tensorSpecs(sizes), seed);
}

function configOf(sizes: NetworkSizes, windowTokens: number): unknown {
  return {
    model_type: sizes.architecture,
    hidden_size: sizes.hiddenSize,
    intermediate_size: sizes.intermediateSize,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.kvHeads,
    head_dim: sizes.headDim,
    vocab_size: sizes.vocabSize,
    max_position_embeddings: windowTokens,
    rope_theta: sizes.ropeTheta,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    tie_word_embeddings: true,
    bos_token_id: BEGIN_ID,
    eos_token_id: END_ID,
    torch_dtype: "bfloat16",
  };
}

async function writeWeights(path: string, specs: readonly TensorSpec[], seed: number): Promise<void> {
  let end = 0;
  const entries = specs.map(({ name, shape }) => {
    const begin = end;
    end += countOf(shape) * 2;
    return [name, { dtype: "BF16", shape, data_offsets: [begin, end] }] as const;
  });
  // Readers map the data: it begins at a multiple of eight.
  const header = JSON.stringify(Object.fromEntries(entries));
  const padded = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8, " "));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = await open(path, "w");
  try {
    await file.writeFile(Buffer.concat([length, padded]));
    const fill = randomFiller(seed);
    for (const spec of specs) await writeTensor(file, spec, fill);
  } finally {
    await file.close();
  }
}

async function writeTensor(file: FileHandle, spec: TensorSpec, fill: (values: Uint16Array) => void): Promise<void> {
  const count = countOf(spec.shape);
  for (let done = 0; done < count; done += CHUNK_VALUES) {
    const values = new Uint16Array(Math.min(CHUNK_VALUES, count - done));
    if (spec.constant === null) fill(values);
    else values.fill(bfloat16(spec.constant));
    await file.writeFile(new Uint8Array(values.buffer));
  }
}

/** Draws from a table of normally distributed bfloat16 values: half a billion of them must not take minutes. */
function randomFiller(seed: number): (values: Uint16Array) => void {
  const table = normalTable();
  let state = seed | 0 || 1;
  return (values) => {
    for (let i = 0; i < values.length; i += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      values[i] = table[(state >>> 8) % TABLE_SIZE]!;
    }
  };
}

/** The sum of twelve uniform numbers, less six, is as good as normal here. */
function normalTable(): Uint16Array {
  let state = 0x9e3779b9;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const floats = Float32Array.from({ length: TABLE_SIZE }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i += 1) sum += uniform();
    return sum * STANDARD_DEVIATION;
  });
  return Uint16Array.from(floats, bfloat16);
}

/** The upper half of the float32, cut off. */
function bfloat16(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

async function writeJson(folder: string, name: string, content: unknown): Promise<void> {
  await writeFile(join(folder, name), `${JSON.stringify(content)}\n`);
}
