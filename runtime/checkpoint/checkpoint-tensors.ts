// A decoder's tensors under Hugging Face's names, taken out of the matrices that the importer put them into: the other way
// round of runtime/importer/decoder-tensors.ts. It reads no values.
import type { DecoderConfig } from "../importer/config.ts";
import { paddedHeadDim } from "../importer/decoder-tensors.ts";
import type { RowSource } from "../importer/rows.ts";
import { narrowHeadColumns, narrowHeadRows, sliceRows, unscaleRows } from "./narrow-rows.ts";
import type { StoredWeights } from "./stored-weights.ts";

/** One tensor of a checkpoint. */
export interface NamedTensor {
  readonly name: string;
  /** A vector is a matrix of one column. */
  readonly isVector: boolean;
  readonly source: RowSource;
}

/** All tensors that the network of `config` has, in the order of its layers. Throws `bad_model` for one that is not there. */
export function checkpointTensors(weights: StoredWeights, config: DecoderConfig): NamedTensor[] {
  const { hiddenSize, vocabSize } = config;
  const head = config.isHeadTied ? [] : [matrix("lm_head.weight", weights.rows("head", vocabSize, hiddenSize))];
  return [
    matrix("model.embed_tokens.weight", weights.rows("embedding", vocabSize, hiddenSize)),
    ...Array.from({ length: config.layers }, (_, layer) => layerTensors(weights, config, layer)).flat(),
    vector("model.norm.weight", weights.rows("final_norm", hiddenSize, 1)),
    ...head,
  ];
}

function layerTensors(weights: StoredWeights, config: DecoderConfig, layer: number): NamedTensor[] {
  const { hiddenSize, intermediateSize, headDim } = config;
  const heads = paddedHeadDim(headDim);
  const stored = `layers.${layer}`;
  const prefix = `model.layers.${layer}`;
  const norm = (name: string, own: string) =>
    vector(`${prefix}.${name}.weight`, weights.rows(`${stored}.${own}`, hiddenSize, 1));
  const output = weights.rows(`${stored}.attention.output`, hiddenSize, config.heads * heads);
  const outputBias = config.hasOutputBias ? weights.rows(`${stored}.attention.output.bias`, hiddenSize, 1) : null;
  const gateUp = (columns: number, suffix: string) => {
    const both = weights.rows(`${stored}.mlp.gate_up${suffix}`, 2 * intermediateSize, columns);
    return { gate: sliceRows(both, 0, intermediateSize), up: sliceRows(both, intermediateSize, intermediateSize) };
  };
  const mlp = gateUp(hiddenSize, "");
  const mlpBias = config.hasMlpBias ? gateUp(1, ".bias") : null;
  const down = weights.rows(`${stored}.mlp.down`, hiddenSize, intermediateSize);
  const downBias = config.hasMlpBias ? weights.rows(`${stored}.mlp.down.bias`, hiddenSize, 1) : null;
  return [
    norm("input_layernorm", "input_norm"),
    ...attentionInputs(weights, config, layer),
    ...linear(`${prefix}.self_attn.o_proj`, narrowHeadColumns(output, headDim, heads), outputBias),
    norm("post_attention_layernorm", "post_attention_norm"),
    ...linear(`${prefix}.mlp.gate_proj`, mlp.gate, mlpBias?.gate ?? null),
    ...linear(`${prefix}.mlp.up_proj`, mlp.up, mlpBias?.up ?? null),
    ...linear(`${prefix}.mlp.down_proj`, down, downBias),
  ];
}

/** Queries, keys and values lie below each other, each with heads that may be widened. */
function attentionInputs(weights: StoredWeights, config: DecoderConfig, layer: number): NamedTensor[] {
  const { hiddenSize, headDim, kvHeads } = config;
  const padded = paddedHeadDim(headDim);
  const stored = `layers.${layer}.attention`;
  const prefix = `model.layers.${layer}.self_attn`;
  const rows = (config.heads + 2 * kvHeads) * padded;
  const weight = weights.rows(`${stored}.qkv`, rows, hiddenSize);
  const bias = config.hasQkvBias ? weights.rows(`${stored}.qkv.bias`, rows, 1) : null;
  let start = 0;
  const projection = (letter: string, heads: number): NamedTensor[] => {
    const part = (source: RowSource) => narrowHeadRows(sliceRows(source, start, heads * padded), headDim, padded);
    const tensors = linear(`${prefix}.${letter}_proj`, part(weight), bias === null ? null : part(bias));
    start += heads * padded;
    return tensors;
  };
  const headNorm = (letter: string): NamedTensor => {
    const own = narrowHeadRows(weights.rows(`${stored}.${letter}_norm`, padded, 1), headDim, padded);
    return vector(`${prefix}.${letter}_norm.weight`, unscaleRows(own, Math.sqrt(headDim / padded)));
  };
  return [
    ...projection("q", config.heads),
    ...projection("k", kvHeads),
    ...projection("v", kvHeads),
    ...(config.hasQkNorm ? [headNorm("q"), headNorm("k")] : []),
  ];
}

function linear(name: string, weight: RowSource, bias: RowSource | null): NamedTensor[] {
  return [matrix(`${name}.weight`, weight), ...(bias === null ? [] : [vector(`${name}.bias`, bias)])];
}

function matrix(name: string, source: RowSource): NamedTensor {
  return { name, isVector: false, source };
}

function vector(name: string, source: RowSource): NamedTensor {
  return { name, isVector: true, source };
}
