// The forward pass of a decoder on a tape: token ids in, hidden states of the wanted rows out. Every architecture that the
// importer reads: biases, norms of queries and keys, tied and untied heads, scaled rotation, adapters.
// It knows operators only by their rules, and weights only by name.
import type { GraphBuilder, Value } from "../../runtime/onnx/graph-builder.ts";
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import { inverseFrequencies } from "../../runtime/importer/rope.ts";
import { attend, causalMask } from "./attention.ts";
import type { Tape } from "./autodiff.ts";
import { packedLinear, type PackedValues } from "./packed-matrix.ts";
import {
  adapterNames,
  EMBEDDING,
  FINAL_NORM,
  HEAD,
  layerLinears,
  layerNorms,
  type LinearSpec,
  type LoraShape,
} from "./parameters.ts";
import {
  add,
  embed,
  linear,
  reshape,
  rmsNorm,
  type Rotation,
  rotate,
  scale,
  selectRows,
  swapMiddle,
  swiGlu,
} from "./rules.ts";

export interface DecoderOptions {
  readonly lora: LoraShape | null;
  /** Longest sequence that will come. */
  readonly maxTokens: number;
  /** Whether the layers are computed twice instead of kept. */
  readonly isCheckpointing: boolean;
}

/** What all layers share. */
interface Surroundings {
  readonly rotation: Rotation;
  readonly mask: Value;
  readonly batch: Value;
  readonly rows: Value;
}

export class Decoder {
  readonly #config: DecoderConfig;
  readonly #options: DecoderOptions;
  readonly #weight: (name: string) => Value;
  readonly #packed: ReadonlyMap<string, PackedValues>;

  /** `weight` gives the value of a tensor by its name; those that are packed are in `packed` instead. */
  constructor(
    config: DecoderConfig,
    options: DecoderOptions,
    weight: (name: string) => Value,
    packed: ReadonlyMap<string, PackedValues>,
  ) {
    this.#config = config;
    this.#options = options;
    this.#weight = weight;
    this.#packed = packed;
  }

  /** The head's matrix [vocabulary, hidden]. */
  get head(): Value {
    return this.#weight(this.#config.isHeadTied ? EMBEDDING : HEAD);
  }

  /** ids [batch, time] and numbers of rows of batch · time, ascending → normed hidden states [rows, hidden]. */
  hiddenStates(tape: Tape, ids: Value, rows: Value): Value {
    const { layers, heads, kvHeads, rmsNormEpsilon } = this.#config;
    const { graph } = tape;
    const shape = graph.op("Shape", [ids]);
    const surroundings = {
      rotation: this.#rotation(graph),
      mask: causalMask(graph, graph.op("Gather", [shape, graph.ints(1)]), heads / kvHeads),
      batch: graph.op("Gather", [shape, graph.ints([0])]),
      rows,
    };
    let stream = embed(tape, this.#weight(EMBEDDING), graph.op("Reshape", [ids, graph.ints([-1])]));
    for (let layer = 0; layer < layers; layer++) {
      stream = tape.block(stream, this.#options.isCheckpointing, (inner, input) =>
        this.#layer(inner, input, layer, surroundings),
      );
    }
    return rmsNorm(tape, stream, this.#weight(FINAL_NORM), rmsNormEpsilon);
  }

  #layer(tape: Tape, input: Value, layer: number, surroundings: Surroundings): Value {
    const { rmsNormEpsilon, layers } = this.#config;
    const norms = layerNorms(layer);
    const linears = layerLinears(this.#config, layer);
    const normed = rmsNorm(tape, input, this.#weight(norms.input), rmsNormEpsilon);
    let attended = this.#attention(tape, normed, layer, surroundings);
    let stream = input;
    // Behind the last attention, rows know nothing of each other: only the wanted ones are computed.
    if (layer === layers - 1) {
      attended = selectRows(tape, attended, surroundings.rows);
      stream = selectRows(tape, stream, surroundings.rows);
    }
    stream = add(tape, stream, this.#linear(tape, attended, linears.output));
    const between = rmsNorm(tape, stream, this.#weight(norms.postAttention), rmsNormEpsilon);
    const gate = this.#linear(tape, between, linears.gate);
    const up = this.#linear(tape, between, linears.up);
    return add(tape, stream, this.#linear(tape, swiGlu(tape, gate, up), linears.down));
  }

  /** [tokens, hidden] → [tokens, heads · headDim]. */
  #attention(tape: Tape, input: Value, layer: number, { rotation, mask, batch }: Surroundings): Value {
    const { heads, kvHeads, headDim, hasQkNorm, rmsNormEpsilon } = this.#config;
    const { graph } = tape;
    const { query, key, value } = layerLinears(this.#config, layer);
    const norms = layerNorms(layer);
    const headsOf = (spec: LinearSpec, count: number, norm: string | null): Value => {
      const flat = graph.ints([-1, count * headDim]);
      let result = this.#linear(tape, input, spec);
      if (norm !== null && hasQkNorm) {
        const single = reshape(tape, result, graph.ints([-1, headDim]), flat);
        result = reshape(
          tape,
          rmsNorm(tape, single, this.#weight(norm), rmsNormEpsilon),
          flat,
          graph.ints([-1, headDim]),
        );
      }
      const shape = graph.op("Concat", [batch, graph.ints([-1, count, headDim])], { axis: 0 });
      // [batch, count, time, headDim]
      const perHead = swapMiddle(tape, reshape(tape, result, shape, flat));
      return norm === null ? perHead : rotate(tape, perHead, rotation);
    };
    const grouped = graph.ints([0, kvHeads, -1, headDim]);
    const perHead = graph.ints([0, heads, -1, headDim]);
    const queries = reshape(tape, headsOf(query, heads, norms.query), grouped, perHead);
    const keys = headsOf(key, kvHeads, norms.key);
    const values = headsOf(value, kvHeads, null);
    const attended = reshape(tape, attend(tape, queries, keys, values, mask, headDim), perHead, grouped);
    const shapeBefore = graph.op("Concat", [batch, graph.ints([-1, heads, headDim])], { axis: 0 });
    return reshape(tape, swapMiddle(tape, attended), graph.ints([-1, heads * headDim]), shapeBefore);
  }

  #linear(tape: Tape, input: Value, { name, hasBias }: LinearSpec): Value {
    const { lora } = this.#options;
    const bias = hasBias ? this.#weight(`${name}.bias`) : null;
    const packed = this.#packed.get(`${name}.weight`);
    const output =
      packed === undefined
        ? linear(tape, input, this.#weight(`${name}.weight`), bias)
        : packedLinear(tape, input, packed, bias);
    if (lora === null) return output;
    const names = adapterNames(name);
    const narrow = scale(tape, linear(tape, input, this.#weight(names.down), null), lora.alpha / lora.rank);
    return add(tape, output, linear(tape, narrow, this.#weight(names.up), null));
  }

  #rotation(graph: GraphBuilder): Rotation {
    const frequencies = inverseFrequencies(this.#config);
    const dims = [this.#options.maxTokens, frequencies.length];
    const table = (name: string, of: (angle: number) => number): Value => {
      // Rounded where the checkpoints' own training code rounds.
      const values = Float32Array.from({ length: dims[0]! * dims[1]! }, (_, index) => {
        const place = Math.floor(index / frequencies.length);
        return of(Math.fround(place * (frequencies[index % frequencies.length] ?? 0)));
      });
      return graph.initializer(`rotation.${name}`, "float32", dims, new Uint8Array(values.buffer));
    };
    return {
      cos: table("cos", Math.cos),
      sin: table("sin", Math.sin),
      minusSin: table("minus_sin", (a) => -Math.sin(a)),
    };
  }
}
