// Owns the configuration of the network that is trained: that of the base, or a new one from flags, a file and the token
// files. It knows config.json's fields, not what the importer makes of them; weights it never sees.
import { join } from "node:path";
import { type DecoderConfig, parseConfig } from "../../runtime/importer/config.ts";
import { isObject, type JsonObject, readJsonObject, readOptionalJsonObject } from "../../runtime/importer/json.ts";
import { BadInput } from "./bad-input.ts";
import type { RecipeOptions } from "./options.ts";

export interface NetworkConfig {
  /** For the result's config.json. */
  readonly json: JsonObject;
  readonly decoder: DecoderConfig;
  /** Longest sequence in tokens. */
  readonly contextTokens: number;
  /** Fills batches up. */
  readonly padId: number;
  /** Of the weights of a new network. */
  readonly deviation: number;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};
const DEFAULT_CONTEXT = 2048;
const DEFAULT_DEVIATION = 0.02;

/** Reads or makes it. Throws BadInput, or EngineError("bad_model") naming the field. */
export async function networkConfig(options: RecipeOptions): Promise<NetworkConfig> {
  const json = options.baseFolder === null ? await newConfig(options) : await baseConfig(options.baseFolder, options);
  const decoder = parseConfig(json);
  const { pad_token_id: pad, initializer_range: range } = json;
  const isPad = typeof pad === "number" && Number.isSafeInteger(pad) && pad >= 0 && pad < decoder.vocabSize;
  return {
    json,
    decoder,
    // Within its window, attention to the last tokens is attention to all.
    contextTokens: Math.min(decoder.maxPositions, decoder.slidingWindow ?? decoder.maxPositions),
    padId: isPad ? pad : 0,
    deviation: typeof range === "number" && range > 0 ? range : DEFAULT_DEVIATION,
  };
}

/** The special ids that a folder of token files names, as a configuration writes them. */
export async function specialIds(folder: string): Promise<Record<string, unknown>> {
  const { added_tokens: added } = await readJsonObject(join(folder, "tokenizer.json"));
  const names = await readJsonObject(join(folder, "tokenizer_config.json"));
  const ids = new Map(
    (Array.isArray(added) ? (added as unknown[]) : []).filter(isObject).map(({ content, id }) => [content, id]),
  );
  const found: Record<string, unknown> = {};
  for (const kind of ["bos", "eos", "pad"]) {
    const name = names[`${kind}_token`];
    found[`${kind}_token_id`] = ids.get(isObject(name) ? name["content"] : name) ?? null;
  }
  const generation = (await readOptionalJsonObject(join(folder, "generation_config.json"))) ?? {};
  for (const key of Object.keys(found)) if (generation[key] !== undefined) found[key] = generation[key];
  return found;
}

async function baseConfig(folder: string, { context }: RecipeOptions): Promise<JsonObject> {
  const json = await readJsonObject(join(folder, "config.json"));
  return context === null ? json : { ...json, max_position_embeddings: context };
}

async function newConfig(options: RecipeOptions): Promise<JsonObject> {
  const { shape, context, configFile, tokenizerFolder } = options;
  const file = configFile === null ? {} : await readJsonObject(configFile);
  const flags = {
    num_hidden_layers: shape.layers,
    hidden_size: shape.hidden,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    intermediate_size: shape.intermediate,
    vocab_size: shape.vocab,
    rope_theta: shape.ropeTheta,
    tie_word_embeddings: shape.isTied,
    max_position_embeddings: context,
  };
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== null));
  const json: Record<string, unknown> = {
    model_type: "llama",
    hidden_act: "silu",
    initializer_range: DEFAULT_DEVIATION,
    max_position_embeddings: DEFAULT_CONTEXT,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    use_cache: true,
    ...(await specialIds(tokenizerFolder)),
    ...file,
    ...given,
  };
  // Newer configurations keep the base of rotation elsewhere; there it would win over the flag.
  if (shape.ropeTheta !== null && isObject(json["rope_parameters"])) {
    json["rope_parameters"] = { ...json["rope_parameters"], rope_theta: shape.ropeTheta };
  }
  const needed = {
    num_hidden_layers: "layers",
    hidden_size: "hidden",
    num_attention_heads: "heads",
    vocab_size: "vocab",
  };
  for (const [field, flag] of Object.entries(needed)) {
    if (typeof json[field] === "number") continue;
    throw new BadInput(`a model from scratch needs --${flag}, or ${field} in the file of --config`);
  }
  const hidden = Number(json["hidden_size"]);
  const heads = Number(json["num_attention_heads"]);
  if (hidden % heads !== 0 && json["head_dim"] === undefined) {
    throw new BadInput(`--hidden ${hidden} cannot be shared among --heads ${heads}`);
  }
  json["num_key_value_heads"] ??= heads;
  // Two thirds of four times the width, as LLaMA has it, in steps of 32.
  json["intermediate_size"] ??= Math.ceil((hidden * 8) / 3 / 32) * 32;
  json["head_dim"] ??= hidden / heads;
  const architecture = ARCHITECTURES[String(json["model_type"])];
  return { ...(architecture === undefined ? {} : { architectures: [architecture] }), ...json };
}
