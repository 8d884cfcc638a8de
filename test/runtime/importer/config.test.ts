// Published configurations and what is read out of them; fields that cannot be honoured are refused by name.
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../runtime/importer/config.ts";
import type { DecoderConfig } from "../../../runtime/importer/config.ts";

const llama32 = {
  model_type: "llama",
  attention_bias: false,
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131_072,
  mlp_bias: false,
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  rope_theta: 500_000,
  tie_word_embeddings: true,
  vocab_size: 128_256,
};

const smollm2 = {
  model_type: "llama",
  attention_bias: false,
  hidden_act: "silu",
  hidden_size: 576,
  intermediate_size: 1536,
  is_llama_config: true,
  max_position_embeddings: 8192,
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_interleaved: false,
  rope_scaling: null,
  rope_theta: 100_000,
  tie_word_embeddings: true,
  vocab_size: 49_152,
};

const mistral = {
  model_type: "mistral",
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 14_336,
  max_position_embeddings: 32_768,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  sliding_window: 4096,
  tie_word_embeddings: false,
  vocab_size: 32_000,
};

const qwen25 = {
  model_type: "qwen2",
  hidden_act: "silu",
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32_768,
  max_window_layers: 21,
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  sliding_window: 32_768,
  tie_word_embeddings: true,
  use_sliding_window: false,
  vocab_size: 151_936,
};

const qwen3 = {
  model_type: "qwen3",
  attention_bias: false,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 1024,
  intermediate_size: 3072,
  max_position_embeddings: 40_960,
  max_window_layers: 28,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1_000_000,
  sliding_window: null,
  tie_word_embeddings: true,
  use_sliding_window: false,
  vocab_size: 151_936,
};

describe("parseConfig", () => {
  test.each<[string, object, Partial<DecoderConfig>]>([
    [
      "Llama 3.2",
      llama32,
      {
        architecture: "llama",
        headDim: 64,
        kvHeads: 8,
        ropeTheta: 500_000,
        ropeScaling: {
          kind: "llama3",
          factor: 32,
          lowFrequencyFactor: 1,
          highFrequencyFactor: 4,
          originalContext: 8192,
        },
        isHeadTied: true,
        hasQkvBias: false,
        hasQkNorm: false,
        slidingWindow: null,
      },
    ],
    ["SmolLM2", smollm2, { architecture: "llama", headDim: 64, ropeScaling: { kind: "none" }, isHeadTied: true }],
    ["Mistral", mistral, { architecture: "mistral", headDim: 128, slidingWindow: 4096, isHeadTied: false }],
    [
      "Qwen2.5",
      qwen25,
      { architecture: "qwen2", headDim: 64, hasQkvBias: true, hasOutputBias: false, slidingWindow: null },
    ],
    ["Qwen3", qwen3, { architecture: "qwen3", headDim: 128, hasQkNorm: true, hasQkvBias: false, slidingWindow: null }],
  ])("reads %s", (_, json, expected) => {
    expect(parseConfig({ ...json })).toMatchObject(expected);
  });

  test("reads the newer form, which keeps rotation in rope_parameters", () => {
    const { rope_scaling: scaling, rope_theta: theta, ...rest } = llama32;
    const newer = { ...rest, rope_parameters: { ...scaling, rope_theta: theta } };
    expect(parseConfig(newer)).toEqual(parseConfig(llama32));
  });

  test("takes as many key-value heads as heads, and the heads' share of the width, when nothing is said", () => {
    const { num_key_value_heads: _, ...rest } = smollm2;
    expect(parseConfig(rest)).toMatchObject({ kvHeads: 9, headDim: 64 });
  });

  test.each<[string, object, string]>([
    ["an unknown architecture", { model_type: "gpt2" }, 'field model_type is "gpt2"; known architectures are'],
    ["no architecture", { model_type: undefined }, "field model_type is missing"],
    ["a missing size", { hidden_size: null }, "field hidden_size is missing"],
    ["a size that is text", { vocab_size: "49152" }, 'field vocab_size must be a positive integer, found "49152"'],
    ["a size below one", { num_hidden_layers: 0 }, "field num_hidden_layers must be a positive integer, found 0"],
    [
      "heads that do not share evenly",
      { num_key_value_heads: 4 },
      "field num_key_value_heads is 4, which does not divide",
    ],
    [
      "a width that heads do not divide",
      { hidden_size: 577 },
      "field hidden_size is 577, which num_attention_heads (9)",
    ],
    ["an odd head size", { head_dim: 63 }, "field head_dim is 63; rotary embeddings need an even number"],
    ["another activation", { hidden_act: "gelu" }, 'field hidden_act is "gelu", only "silu" is supported'],
    ["an epsilon of zero", { rms_norm_eps: 0 }, "field rms_norm_eps must be a positive number, found 0"],
    ["quantized weights", { quantization_config: { bits: 4 } }, "field quantization_config is set"],
    ["unknown rotation scaling", { rope_scaling: { type: "yarn", factor: 4 } }, 'field rope_scaling.type is "yarn"'],
    ["scaling without its factor", { rope_scaling: { rope_type: "linear" } }, "field rope_scaling.factor is missing"],
    ["scaling that is no object", { rope_scaling: 2 }, "field rope_scaling must be an object, found 2"],
    ["partly rotated heads", { partial_rotary_factor: 0.5 }, "field partial_rotary_factor is not 1"],
    ["layers of another kind", { layer_types: ["linear_attention"] }, 'field layer_types holds "linear_attention"'],
    ["tying that is no boolean", { tie_word_embeddings: "yes" }, "field tie_word_embeddings must be true or false"],
  ])("refuses %s", (_, change, message) => {
    expect(() => parseConfig({ ...smollm2, ...change })).toThrow(`config.json: ${message}`);
  });

  test("a sliding window counts where it is in use", () => {
    expect(parseConfig({ ...qwen25, use_sliding_window: true }).slidingWindow).toBe(32_768);
    expect(parseConfig({ ...mistral, sliding_window: null }).slidingWindow).toBeNull();
    const layers = { layer_types: ["full_attention", "sliding_attention"] };
    expect(parseConfig({ ...qwen25, ...layers }).slidingWindow).toBe(32_768);
    expect(parseConfig({ ...mistral, layer_types: ["full_attention"] }).slidingWindow).toBeNull();
  });
});
