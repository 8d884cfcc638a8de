// The operators that read weights, by weight format: matrix products, embedding lookups and the output head.
// A tied head and embedding are one region of the data file, whatever the format.
// It knows formats and operators, not what the network does with them.
import type { GraphBuilder, Value } from "../onnx/graph-builder.ts";
import type { LinearTensors } from "./decoder-tensors.ts";
import { blockLayout } from "./quantize.ts";
import type { Bits } from "./quantize.ts";
import type { RowSource } from "./rows.ts";
import type { QuantizedRegions, WeightPlan, WeightType } from "./weight-plan.ts";

export interface WeightFormat {
  /** Type of everything that flows between operators, and of norms, biases and scales. */
  readonly activationType: WeightType;
  /** Null keeps matrices in the activation type. */
  readonly bits: Bits | null;
  /** The same for the embedding and the output head. */
  readonly headBits: Bits | null;
  readonly blockSize: number;
  /** Of quantized products: 4 lets the kernel round activations to 8 bits, 0 leaves them alone. */
  readonly accuracyLevel: number;
  /** Quantized values go to either neighbour, by chance: see FormatOptions. */
  readonly isDithered: boolean;
}

interface Embedding {
  /** Token ids → hidden states. */
  readonly lookup: (ids: Value) => Value;
  /** Hidden states [rows, hidden] → logits. */
  readonly project: (hidden: Value) => Value;
}

export class WeightOperators {
  readonly #graph: GraphBuilder;
  readonly #plan: WeightPlan;
  readonly #format: WeightFormat;

  constructor(graph: GraphBuilder, plan: WeightPlan, format: WeightFormat) {
    this.#graph = graph;
    this.#plan = plan;
    this.#format = format;
  }

  /** A plain initializer. */
  tensor(name: string, source: RowSource, dims: readonly number[], type = this.#format.activationType): Value {
    return this.#graph.initializer(name, type, dims, this.#plan.float(source, type));
  }

  vector(name: string, source: RowSource): Value {
    return this.tensor(name, source, [source.rows]);
  }

  /** input · weightᵀ + bias. */
  linear(name: string, input: Value, { weight, bias }: LinearTensors): Value {
    const { bits } = this.#format;
    const biasValue = bias === null ? null : this.vector(`${name}.bias`, bias);
    if (bits !== null) {
      const regions = this.#quantize(weight, bits);
      return this.#blockProduct(name, input, weight, bits, regions, biasValue);
    }
    const matrix = this.tensor(`${name}.weight`, weight, [weight.rows, weight.columns]);
    const product = this.#product(name, input, matrix);
    return biasValue === null ? product : this.#graph.op("Add", [product, biasValue]);
  }

  /** The embedding and its head; `head` null means that they share their weights. */
  embedding(table: RowSource, head: RowSource | null): Embedding {
    return this.#format.headBits === null
      ? this.#floatEmbedding(table, head)
      : this.#blockEmbedding(table, head, this.#format.headBits);
  }

  #floatEmbedding(table: RowSource, head: RowSource | null): Embedding {
    const dims = [table.rows, table.columns];
    const tableValue = this.tensor("embedding.weight", table, dims);
    const headValue = head === null ? tableValue : this.tensor("head.weight", head, dims);
    return {
      lookup: (ids) => this.#graph.op("Gather", [tableValue, ids], { axis: 0 }, { name: "embedding" }),
      project: (hidden) => this.#product("head", hidden, headValue),
    };
  }

  #blockEmbedding(table: RowSource, head: RowSource | null, bits: Bits): Embedding {
    const { blockSize } = this.#format;
    const product = (hidden: Value, weight: RowSource, regions: QuantizedRegions) =>
      this.#blockProduct("head", hidden, weight, bits, regions, null);
    // The lookup knows no filled-up last block: such a table stays as it is.
    if (table.columns % blockSize !== 0) {
      const tableValue = this.tensor("embedding.weight", table, [table.rows, table.columns]);
      return {
        lookup: (ids) => this.#graph.op("Gather", [tableValue, ids], { axis: 0 }, { name: "embedding" }),
        project: (hidden) => product(hidden, head ?? table, this.#quantize(head ?? table, bits)),
      };
    }
    const regions = this.#quantize(table, bits);
    return {
      lookup: (ids) => this.#blockLookup(ids, table, bits, regions),
      project: (hidden) => product(hidden, head ?? table, head === null ? regions : this.#quantize(head, bits)),
    };
  }

  #blockLookup(ids: Value, table: RowSource, bits: Bits, regions: QuantizedRegions): Value {
    const { blockSize, activationType } = this.#format;
    const { blocksPerRow, bytesPerRow } = blockLayout(table.columns, bits, blockSize);
    const packed = this.#graph.initializer("embedding.packed", "uint8", [table.rows, bytesPerRow], regions.packed);
    const dims = [table.rows, blocksPerRow];
    const scales = this.#graph.initializer("embedding.scales", activationType, dims, regions.scales);
    const attributes = { gather_axis: 0, quantize_axis: 1, block_size: blockSize, bits };
    const [rows] = this.#graph.contrib("GatherBlockQuantized", [packed, ids, scales], 1, attributes, {
      name: "embedding",
    });
    if (rows === undefined) throw new Error("a lookup has one output");
    return rows;
  }

  #quantize(source: RowSource, bits: Bits): QuantizedRegions {
    const { blockSize, activationType, isDithered } = this.#format;
    return this.#plan.quantized(source, bits, blockSize, activationType, isDithered);
  }

  #blockProduct(
    name: string,
    input: Value,
    { rows, columns }: RowSource,
    bits: Bits,
    regions: QuantizedRegions,
    bias: Value | null,
  ): Value {
    const { blockSize, activationType, accuracyLevel } = this.#format;
    const { blocksPerRow } = blockLayout(columns, bits, blockSize);
    const blockBytes = (blockSize * bits) / 8;
    const packed = this.#graph.initializer(`${name}.packed`, "uint8", [rows, blocksPerRow, blockBytes], regions.packed);
    const scales = this.#graph.initializer(`${name}.scales`, activationType, [rows * blocksPerRow], regions.scales);
    const inputs = [input, packed, scales, ...(bias === null ? [] : [null, null, bias])];
    const attributes = { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: accuracyLevel };
    const [output] = this.#graph.contrib("MatMulNBits", inputs, 1, attributes, { name });
    if (output === undefined) throw new Error("a product has one output");
    return output;
  }

  /** Checkpoints keep matrices as [out, in]: multiplied transposed, they need not be rearranged. */
  #product(name: string, input: Value, matrix: Value): Value {
    const [output] = this.#graph.contrib("FusedMatMul", [input, matrix], 1, { transB: 1 }, { name });
    if (output === undefined) throw new Error("a product has one output");
    return output;
  }
}
