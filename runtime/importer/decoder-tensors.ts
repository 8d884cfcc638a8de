// Which tensors a decoder needs, under Hugging Face's names, put together as the graph wants them:
// queries, keys and values in one matrix, gate and up in one, heads widened to a size that the attention operator takes.
// It reads no values; every name and shape is checked when this is called.
import type { Checkpoint } from "./checkpoint.ts";
import type { DecoderConfig } from "./config.ts";
import { joinRows, padHeadColumns, padHeadRows, scaleRows } from "./rows.ts";
import type { RowSource } from "./rows.ts";

/** GroupQueryAttention rotates heads of a multiple of this size only. */
const HEAD_MULTIPLE = 16;

/** A matrix [out, in] and its bias, if any. */
export interface LinearTensors {
  readonly weight: RowSource;
  readonly bias: RowSource | null;
}

export interface LayerTensors {
  readonly inputNorm: RowSource;
  /** Rows: all query heads, all key heads, all value heads. */
  readonly qkv: LinearTensors;
  readonly qkNorm: { readonly query: RowSource; readonly key: RowSource } | null;
  readonly output: LinearTensors;
  readonly postAttentionNorm: RowSource;
  /** Rows: gate, then up. */
  readonly gateUp: LinearTensors;
  readonly down: LinearTensors;
}

export interface DecoderTensors {
  readonly embedding: RowSource;
  readonly layers: readonly LayerTensors[];
  readonly finalNorm: RowSource;
  /** Null when the embedding is the head. */
  readonly head: RowSource | null;
}

/** The head size in the graph: the model's own, or the next one up that can be rotated. */
export function paddedHeadDim(headDim: number): number {
  return Math.ceil(headDim / HEAD_MULTIPLE) * HEAD_MULTIPLE;
}

/** Throws `bad_model` for a missing, misshapen or superfluous tensor. */
export function decoderTensors(checkpoint: Checkpoint, config: DecoderConfig): DecoderTensors {
  const { hiddenSize, vocabSize } = config;
  const embedding = checkpoint.matrix("model.embed_tokens.weight", vocabSize, hiddenSize);
  const layers = Array.from({ length: config.layers }, (_, layer) => layerTensors(checkpoint, config, layer));
  const finalNorm = checkpoint.vector("model.norm.weight", hiddenSize);
  const head = config.isHeadTied ? null : checkpoint.matrix("lm_head.weight", vocabSize, hiddenSize);
  if (config.isHeadTied) checkpoint.ignore("lm_head.weight");
  checkpoint.assertAllAsked();
  return { embedding, layers, finalNorm, head };
}

function layerTensors(checkpoint: Checkpoint, config: DecoderConfig, layer: number): LayerTensors {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
  const padded = paddedHeadDim(headDim);
  const prefix = `model.layers.${layer}`;
  const attention = `${prefix}.self_attn`;
  const mlp = `${prefix}.mlp`;
  const norm = (name: string) => checkpoint.vector(`${prefix}.${name}.weight`, hiddenSize);
  const linear = (name: string, rows: number, columns: number, hasBias: boolean): LinearTensors => ({
    weight: checkpoint.matrix(`${name}.weight`, rows, columns),
    bias: hasBias ? checkpoint.vector(`${name}.bias`, rows) : null,
  });
  const projection = (letter: string, count: number): LinearTensors => {
    const own = linear(`${attention}.${letter}_proj`, count * headDim, hiddenSize, config.hasQkvBias);
    return mapLinear(own, (source) => padHeadRows(source, headDim, padded));
  };
  // A norm over a widened head divides by a larger size; its weight makes up for that.
  const headNorm = (letter: string) =>
    scaleRows(
      padHeadRows(checkpoint.vector(`${attention}.${letter}_norm.weight`, headDim), headDim, padded),
      Math.sqrt(headDim / padded),
    );
  const output = linear(`${attention}.o_proj`, hiddenSize, heads * headDim, config.hasOutputBias);
  // Written by old versions of the training code; computed here.
  checkpoint.ignore(`${attention}.rotary_emb.inv_freq`);
  return {
    inputNorm: norm("input_layernorm"),
    qkv: joinLinears([projection("q", heads), projection("k", kvHeads), projection("v", kvHeads)]),
    qkNorm: config.hasQkNorm ? { query: headNorm("q"), key: headNorm("k") } : null,
    output: { weight: padHeadColumns(output.weight, headDim, padded), bias: output.bias },
    postAttentionNorm: norm("post_attention_layernorm"),
    gateUp: joinLinears(
      ["gate", "up"].map((name) => linear(`${mlp}.${name}_proj`, intermediateSize, hiddenSize, config.hasMlpBias)),
    ),
    down: linear(`${mlp}.down_proj`, hiddenSize, intermediateSize, config.hasMlpBias),
  };
}

function mapLinear(tensors: LinearTensors, map: (source: RowSource) => RowSource): LinearTensors {
  return { weight: map(tensors.weight), bias: tensors.bias === null ? null : map(tensors.bias) };
}

function joinLinears(parts: readonly LinearTensors[]): LinearTensors {
  const biases = parts.flatMap(({ bias }) => (bias === null ? [] : [bias]));
  return {
    weight: joinRows(parts.map(({ weight }) => weight)),
    bias: biases.length === 0 ? null : joinRows(biases),
  };
}
