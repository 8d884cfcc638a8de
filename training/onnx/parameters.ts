// Which tensors a network has, under Hugging Face's names, and which of them are trained: all, or adapters beside them.
// It knows shapes and how a new network begins, not the operators between.
import type { DecoderConfig } from "../../runtime/importer/config.ts";

/** A tensor of a network. A vector's shape has one number. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Where its values begin: at random with this deviation or within this bound, or all the same. */
  readonly start:
    | { readonly kind: "normal"; readonly deviation: number }
    | { readonly kind: "uniform"; readonly bound: number }
    | { readonly kind: "constant"; readonly value: number };
}

/** Low-rank adapters in the seven matrices of every layer. */
export interface LoraShape {
  readonly rank: number;
  /** What they compute counts alpha / rank times. */
  readonly alpha: number;
}

/** As Hugging Face's `initializer_range` has it where a configuration does not say. */
const DEVIATION = 0.02;

export const EMBEDDING = "model.embed_tokens.weight";
export const FINAL_NORM = "model.norm.weight";
export const HEAD = "lm_head.weight";

export function valueCount({ shape }: Parameter): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function totalValues(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + valueCount(parameter), 0);
}

/** A matrix product of the network: its name without `.weight`, and its widths. */
export interface LinearSpec {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly hasBias: boolean;
}

/** The seven matrices of a layer. */
export function layerLinears(config: DecoderConfig, layer: number): Readonly<Record<LayerLinear, LinearSpec>> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, hasQkvBias, hasOutputBias, hasMlpBias } = config;
  const attention = `model.layers.${layer}.self_attn`;
  const mlp = `model.layers.${layer}.mlp`;
  return {
    query: spec(`${attention}.q_proj`, hiddenSize, heads * headDim, hasQkvBias),
    key: spec(`${attention}.k_proj`, hiddenSize, kvHeads * headDim, hasQkvBias),
    value: spec(`${attention}.v_proj`, hiddenSize, kvHeads * headDim, hasQkvBias),
    output: spec(`${attention}.o_proj`, heads * headDim, hiddenSize, hasOutputBias),
    gate: spec(`${mlp}.gate_proj`, hiddenSize, intermediateSize, hasMlpBias),
    up: spec(`${mlp}.up_proj`, hiddenSize, intermediateSize, hasMlpBias),
    down: spec(`${mlp}.down_proj`, intermediateSize, hiddenSize, hasMlpBias),
  };
}

function spec(name: string, inputs: number, outputs: number, hasBias: boolean): LinearSpec {
  return { name, inputs, outputs, hasBias };
}

type LayerLinear = "query" | "key" | "value" | "output" | "gate" | "up" | "down";

/** The norms of a layer by their place. */
export function layerNorms(layer: number) {
  const name = `model.layers.${layer}`;
  return {
    input: `${name}.input_layernorm.weight`,
    postAttention: `${name}.post_attention_layernorm.weight`,
    query: `${name}.self_attn.q_norm.weight`,
    key: `${name}.self_attn.k_norm.weight`,
  };
}

/** The names under which PEFT keeps the two matrices of an adapter. */
export function adapterNames(linear: string): { readonly down: string; readonly up: string } {
  const name = `base_model.model.${linear}`;
  return { down: `${name}.lora_A.weight`, up: `${name}.lora_B.weight` };
}

/** All tensors of a network. */
export function networkParameters(config: DecoderConfig, deviation = DEVIATION): Parameter[] {
  const { hiddenSize, headDim, vocabSize } = config;
  const matrix = (name: string, rows: number, columns: number): Parameter => ({
    name,
    shape: [rows, columns],
    start: { kind: "normal", deviation },
  });
  const layer = (index: number): Parameter[] => {
    const norms = layerNorms(index);
    const tensors = [vector(norms.input, hiddenSize, 1)];
    for (const { name, inputs, outputs, hasBias } of Object.values(layerLinears(config, index))) {
      tensors.push(matrix(`${name}.weight`, outputs, inputs));
      if (hasBias) tensors.push(vector(`${name}.bias`, outputs, 0));
    }
    if (config.hasQkNorm) tensors.push(vector(norms.query, headDim, 1), vector(norms.key, headDim, 1));
    tensors.push(vector(norms.postAttention, hiddenSize, 1));
    return tensors;
  };
  return [
    matrix(EMBEDDING, vocabSize, hiddenSize),
    ...Array.from({ length: config.layers }, (_, index) => layer(index)).flat(),
    vector(FINAL_NORM, hiddenSize, 1),
    ...(config.isHeadTied ? [] : [matrix(HEAD, vocabSize, hiddenSize)]),
  ];
}

function vector(name: string, length: number, value: number): Parameter {
  return { name, shape: [length], start: { kind: "constant", value } };
}

/** The adapters of a network. The second matrix begins with zeros: at first they change nothing. */
export function adapterParameters(config: DecoderConfig, { rank }: LoraShape): Parameter[] {
  return Array.from({ length: config.layers }, (_, layer) =>
    Object.values(layerLinears(config, layer)).flatMap(({ name, inputs, outputs }): Parameter[] => {
      const { down, up } = adapterNames(name);
      return [
        { name: down, shape: [rank, inputs], start: { kind: "uniform", bound: 1 / Math.sqrt(inputs) } },
        { name: up, shape: [outputs, rank], start: { kind: "constant", value: 0 } },
      ];
    }),
  ).flat();
}
