// The ONNX graph of a decoder: what the engine binds its buffers to, and the operators between.
// Attention is GroupQueryAttention with rotation inside, its past and present one buffer a layer; from the last layer's
// attention on, only the rows whose logits are wanted are computed.
// It knows no file and no checkpoint: weights come as row sources and go into a WeightPlan.
import { GraphBuilder } from "../onnx/graph-builder.ts";
import type { Value } from "../onnx/graph-builder.ts";
import { float } from "../onnx/proto.ts";
import type { DecoderConfig } from "./config.ts";
import { paddedHeadDim } from "./decoder-tensors.ts";
import type { DecoderTensors, LayerTensors, LinearTensors } from "./decoder-tensors.ts";
import { WeightOperators } from "./weight-operators.ts";
import type { WeightFormat } from "./weight-operators.ts";
import { ropeTable } from "./rope.ts";
import type { RowSource } from "./rows.ts";
import type { WeightPlan, WeightType } from "./weight-plan.ts";

export interface DecoderGraphOptions extends WeightFormat {
  readonly kvType: WeightType;
  readonly contextWindow: number;
}

/** The `.onnx` file; its weights are added to `plan` and still have to be written. */
export function buildDecoderGraph(
  config: DecoderConfig,
  tensors: DecoderTensors,
  plan: WeightPlan,
  options: DecoderGraphOptions,
): Uint8Array {
  return new DecoderGraph(config, plan, options).build(tensors);
}

class DecoderGraph {
  readonly #config: DecoderConfig;
  readonly #options: DecoderGraphOptions;
  readonly #graph = new GraphBuilder("decoder");
  readonly #weights: WeightOperators;
  readonly #headDim: number;
  readonly #inputIds: Value;
  readonly #seqlensK: Value;
  readonly #totalLength: Value;
  readonly #logitRows: Value;
  readonly #cos: Value;
  readonly #sin: Value;

  constructor(config: DecoderConfig, plan: WeightPlan, options: DecoderGraphOptions) {
    const graph = this.#graph;
    this.#config = config;
    this.#options = options;
    this.#weights = new WeightOperators(graph, plan, options);
    this.#headDim = paddedHeadDim(config.headDim);
    this.#inputIds = graph.input("input_ids", "int64", ["batch", "sequence"]);
    this.#seqlensK = graph.input("seqlens_k", "int32", ["batch"]);
    this.#totalLength = graph.input("total_sequence_length", "int32", []);
    this.#logitRows = graph.input("logit_rows", "int64", ["rows"]);
    const table = (fn: "cos" | "sin") => {
      const source = ropeTable(fn, config, this.#headDim, options.contextWindow);
      return this.#weights.tensor(`rope.${fn}`, source, [source.rows, source.columns], options.kvType);
    };
    this.#cos = table("cos");
    this.#sin = table("sin");
  }

  build(tensors: DecoderTensors): Uint8Array {
    const { hiddenSize, vocabSize } = this.#config;
    const graph = this.#graph;
    const { lookup, project } = this.#weights.embedding(tensors.embedding, tensors.head);
    // The residual stream and what is still to be added to it: each norm adds before it normalises.
    let stream = lookup(this.#inputIds);
    let pending: Value | null = null;
    for (const [layer, layerTensors] of tensors.layers.entries()) {
      const isLast = layer === tensors.layers.length - 1;
      const name = `layers.${layer}`;
      const [normed, sum] = this.#addAndNorm(`${name}.input_norm`, stream, pending, layerTensors.inputNorm);
      let attention = this.#attention(layer, normed, layerTensors);
      stream = sum;
      if (isLast) {
        attention = this.#wantedRows(attention, this.#config.heads * this.#headDim);
        stream = this.#wantedRows(stream, hiddenSize);
      }
      const projected = this.#linear(`${name}.attention.output`, attention, layerTensors.output);
      const post = layerTensors.postAttentionNorm;
      const [normedAgain, sumAgain] = this.#addAndNorm(`${name}.post_attention_norm`, stream, projected, post);
      stream = sumAgain;
      pending = this.#mlp(name, normedAgain, layerTensors);
    }
    const [last] = this.#addAndNorm("final_norm", stream, pending, tensors.finalNorm);
    const logits = project(last);
    const isFloat32 = this.#options.activationType === "float32";
    const output = isFloat32 ? logits : graph.op("Cast", [logits], { to: 1 });
    graph.output("logits", output, "float32", ["rows", vocabSize]);
    return graph.toBytes();
  }

  /** [normalised sum, sum]. */
  #addAndNorm(name: string, stream: Value, pending: Value | null, gamma: RowSource): readonly [Value, Value] {
    const weight = this.#weights.vector(`${name}.weight`, gamma);
    const epsilon = float(this.#config.rmsNormEpsilon);
    if (pending === null) return [this.#norm(name, stream, weight, this.#config.rmsNormEpsilon), stream];
    const [normed, , , sum] = this.#graph.contrib(
      "SkipSimplifiedLayerNormalization",
      [stream, pending, weight],
      4,
      { epsilon },
      { name, skipOutputs: [1, 2] },
    );
    if (normed === undefined || sum === undefined) throw new Error("a skip norm has four outputs");
    return [normed, sum];
  }

  #norm(name: string, input: Value, weight: Value, epsilon: number): Value {
    return this.#graph.op(
      "SimplifiedLayerNormalization",
      [input, weight],
      { axis: -1, stash_type: 1, epsilon: float(epsilon) },
      { name },
    );
  }

  #attention(layer: number, input: Value, tensors: LayerTensors): Value {
    const { heads, kvHeads, headDim } = this.#config;
    const { kvType, activationType } = this.#options;
    const graph = this.#graph;
    const name = `layers.${layer}.attention`;
    const shape = ["batch", kvHeads, "max_length", this.#headDim];
    const pastKey = graph.input(`past_key_values.${layer}.key`, kvType, shape);
    const pastValue = graph.input(`past_key_values.${layer}.value`, kvType, shape);
    const packed = this.#linear(`${name}.qkv`, input, tensors.qkv);
    const queryKeyValue =
      tensors.qkNorm === null ? [packed, null, null] : this.#normedHeads(name, packed, tensors.qkNorm);
    const [output, presentKey, presentValue] = graph.contrib(
      "GroupQueryAttention",
      [
        ...queryKeyValue.map((value) => (value === null ? null : this.#cast(value, activationType, kvType))),
        pastKey,
        pastValue,
        this.#seqlensK,
        this.#totalLength,
        this.#cos,
        this.#sin,
      ],
      3,
      // The scale is that of the model's own head size, which widening does not change.
      { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, scale: float(1 / Math.sqrt(headDim)) },
      { name },
    );
    if (output === undefined || presentKey === undefined || presentValue === undefined) {
      throw new Error("attention has three outputs");
    }
    graph.output(`present.${layer}.key`, presentKey, kvType, shape);
    graph.output(`present.${layer}.value`, presentValue, kvType, shape);
    return this.#cast(output, kvType, activationType);
  }

  #normedHeads(name: string, packed: Value, norms: NonNullable<LayerTensors["qkNorm"]>): Value[] {
    const { heads, kvHeads, headDim, rmsNormEpsilon } = this.#config;
    const graph = this.#graph;
    const widths = [heads, kvHeads, kvHeads].map((count) => count * this.#headDim);
    const [query, key, value] = graph.ops("Split", [packed, graph.ints(widths)], 3, { axis: -1 });
    if (query === undefined || key === undefined || value === undefined) throw new Error("a split in three has three");
    const normed = (letter: string, input: Value, gamma: RowSource, count: number) => {
      const perHead = graph.op("Reshape", [input, graph.ints([0, 0, count, this.#headDim])]);
      const weight = this.#weights.vector(`${name}.${letter}_norm.weight`, gamma);
      // Zeros beside a head make its mean square smaller by this factor; so must be what is added to it.
      const epsilon = (rmsNormEpsilon * headDim) / this.#headDim;
      const result = this.#norm(`${name}.${letter}_norm`, perHead, weight, epsilon);
      return graph.op("Reshape", [result, graph.ints([0, 0, count * this.#headDim])]);
    };
    return [normed("q", query, norms.query, heads), normed("k", key, norms.key, kvHeads), value];
  }

  #mlp(name: string, input: Value, tensors: LayerTensors): Value {
    const { intermediateSize } = this.#config;
    const graph = this.#graph;
    const packed = this.#linear(`${name}.mlp.gate_up`, input, tensors.gateUp);
    const widths = graph.ints([intermediateSize, intermediateSize]);
    const [gate, up] = graph.ops("Split", [packed, widths], 2, { axis: -1 });
    if (gate === undefined || up === undefined) throw new Error("a split in two has two");
    const activated = graph.op("Mul", [gate, graph.op("Sigmoid", [gate])]);
    return this.#linear(`${name}.mlp.down`, graph.op("Mul", [activated, up]), tensors.down);
  }

  /** [batch, sequence, width] → [rows, width]. */
  #wantedRows(value: Value, width: number): Value {
    const flat = this.#graph.op("Reshape", [value, this.#graph.ints([-1, width])]);
    return this.#graph.op("Gather", [flat, this.#logitRows], { axis: 0 });
  }

  #linear(name: string, input: Value, tensors: LinearTensors): Value {
    return this.#weights.linear(name, input, tensors);
  }

  #cast(value: Value, from: WeightType, to: WeightType): Value {
    return from === to ? value : this.#graph.op("Cast", [value], { to: to === "float32" ? 1 : 10 });
  }
}
