// Reads a checkpoint's config.json into the one description of a decoder that the importer works with.
// The only file that knows how each architecture writes its configuration; what it cannot honour it refuses by field.
// It opens no weights.
import { FieldReader } from "./json.ts";
import type { JsonObject } from "./json.ts";

const FILE = "config.json";

type Architecture = "llama" | "mistral" | "qwen2" | "qwen3";

/** How rotary frequencies are stretched beyond the trained context. */
type RopeScaling =
  | { readonly kind: "none" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };

export interface DecoderConfig {
  readonly architecture: Architecture;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxPositions: number;
  /** Attention reaches back this many tokens; null means all of them. */
  readonly slidingWindow: number | null;
  readonly rmsNormEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  readonly isHeadTied: boolean;
  readonly hasQkvBias: boolean;
  readonly hasOutputBias: boolean;
  readonly hasMlpBias: boolean;
  /** Queries and keys are normalised per head before rotation. */
  readonly hasQkNorm: boolean;
}

/** Which parts each architecture has beyond the common decoder. */
function traits(architecture: Architecture, fields: FieldReader) {
  const attentionBias = () => fields.boolean("attention_bias", false);
  switch (architecture) {
    case "llama":
      return {
        hasQkvBias: attentionBias(),
        hasOutputBias: attentionBias(),
        hasMlpBias: fields.boolean("mlp_bias", false),
        hasQkNorm: false,
      };
    case "mistral":
      return { hasQkvBias: false, hasOutputBias: false, hasMlpBias: false, hasQkNorm: false };
    case "qwen2":
      return { hasQkvBias: true, hasOutputBias: false, hasMlpBias: false, hasQkNorm: false };
    case "qwen3":
      return { hasQkvBias: attentionBias(), hasOutputBias: attentionBias(), hasMlpBias: false, hasQkNorm: true };
    default:
      throw fields.error("model_type", `has no rule for ${String(architecture satisfies never)}`);
  }
}

/** Throws `bad_model` naming the field for anything missing, contradictory or not supported. */
export function parseConfig(json: JsonObject): DecoderConfig {
  const fields = new FieldReader(json, FILE);
  const architecture = parseArchitecture(fields);
  if (fields.has("quantization_config")) {
    throw fields.error("quantization_config", "is set: import the unquantized checkpoint instead");
  }
  const activation = fields.string("hidden_act", "silu");
  if (activation !== "silu") throw fields.error("hidden_act", `is "${activation}", only "silu" is supported`);

  const hiddenSize = fields.positiveInt("hidden_size");
  const layers = fields.positiveInt("num_hidden_layers");
  const heads = fields.positiveInt("num_attention_heads");
  const kvHeads = fields.positiveInt("num_key_value_heads", heads);
  if (heads % kvHeads !== 0) {
    throw fields.error("num_key_value_heads", `is ${kvHeads}, which does not divide num_attention_heads (${heads})`);
  }
  if (!fields.has("head_dim") && hiddenSize % heads !== 0) {
    throw fields.error("hidden_size", `is ${hiddenSize}, which num_attention_heads (${heads}) does not divide`);
  }
  const headDim = fields.positiveInt("head_dim", hiddenSize / heads);
  if (headDim % 2 !== 0) throw fields.error("head_dim", `is ${headDim}; rotary embeddings need an even number`);

  return {
    architecture,
    layers,
    hiddenSize,
    intermediateSize: fields.positiveInt("intermediate_size"),
    heads,
    kvHeads,
    headDim,
    vocabSize: fields.positiveInt("vocab_size"),
    maxPositions: fields.positiveInt("max_position_embeddings"),
    slidingWindow: parseSlidingWindow(fields, architecture),
    rmsNormEpsilon: fields.positive("rms_norm_eps"),
    isHeadTied: fields.boolean("tie_word_embeddings", false),
    ...parseRope(fields),
    ...traits(architecture, fields),
  };
}

function parseArchitecture(fields: FieldReader): Architecture {
  const type = fields.string("model_type");
  if (type === "llama" || type === "mistral" || type === "qwen2" || type === "qwen3") return type;
  throw fields.error("model_type", `is "${type}"; known architectures are llama, mistral, qwen2 and qwen3`);
}

/** Newer configurations keep everything in rope_parameters, older ones spread it over rope_theta and rope_scaling. */
function parseRope(fields: FieldReader): Pick<DecoderConfig, "ropeTheta" | "ropeScaling"> {
  const nested = fields.object("rope_parameters");
  const scaling = nested ?? fields.object("rope_scaling");
  const ropeTheta =
    nested?.has("rope_theta") === true ? nested.positive("rope_theta") : fields.positive("rope_theta", 10_000);
  for (const reader of [fields, scaling]) {
    if (reader?.has("partial_rotary_factor") === true && reader.positive("partial_rotary_factor") !== 1) {
      throw reader.error("partial_rotary_factor", "is not 1; only fully rotated heads are supported");
    }
  }
  return { ropeTheta, ropeScaling: scaling === null ? { kind: "none" } : parseScaling(scaling) };
}

function parseScaling(scaling: FieldReader): RopeScaling {
  const field = scaling.has("rope_type") ? "rope_type" : "type";
  const kind = scaling.string(field, "default");
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: scaling.positive("factor") };
    case "llama3":
      return {
        kind: "llama3",
        factor: scaling.positive("factor"),
        lowFrequencyFactor: scaling.positive("low_freq_factor"),
        highFrequencyFactor: scaling.positive("high_freq_factor"),
        originalContext: scaling.positiveInt("original_max_position_embeddings"),
      };
    default:
      throw scaling.error(field, `is "${kind}"; supported are default, linear and llama3`);
  }
}

function parseSlidingWindow(fields: FieldReader, architecture: Architecture): number | null {
  if (fields.has("layer_types")) {
    const types = fields.raw("layer_types");
    if (!Array.isArray(types)) throw fields.error("layer_types", "must be a list");
    for (const type of types) {
      if (type !== "full_attention" && type !== "sliding_attention") {
        throw fields.error("layer_types", `holds ${JSON.stringify(type)}, which is not supported`);
      }
    }
    return types.includes("sliding_attention") ? fields.positiveInt("sliding_window") : null;
  }
  const isQwen = architecture === "qwen2" || architecture === "qwen3";
  const isOn = isQwen ? fields.boolean("use_sliding_window", false) : architecture === "mistral";
  return isOn && fields.has("sliding_window") ? fields.positiveInt("sliding_window") : null;
}
