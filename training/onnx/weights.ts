// Fills a network's tensors: from a Hugging Face checkpoint, or at random as the seed decides.
// It knows names and shapes; what is done with the weights it does not.
import { uniform } from "../../runtime/engine/random.ts";
import { Checkpoint } from "../../runtime/importer/checkpoint.ts";
import type { DecoderConfig } from "../../runtime/importer/config.ts";
import type { FlatBuffer } from "./buffers.ts";
import type { PackedMatrices } from "./packed-matrix.ts";
import { HEAD, type Parameter, valueCount } from "./parameters.ts";

/** Values in memory at once. */
const CHUNK_VALUES = 1 << 20;

/**
 * Reads every tensor of `buffer` and of `packed` from the checkpoint in `folder`. Throws `bad_model` for one that is missing,
 * misshapen or superfluous.
 */
export async function loadWeights(
  folder: string,
  config: DecoderConfig,
  buffer: FlatBuffer,
  packed: PackedMatrices | null,
): Promise<void> {
  const checkpoint = await Checkpoint.open(folder);
  try {
    const sourceOf = (parameter: Parameter) => {
      const { name, shape } = parameter;
      const [rows = 0, columns] = shape;
      const source = columns === undefined ? checkpoint.vector(name, rows) : checkpoint.matrix(name, rows, columns);
      return { parameter, source };
    };
    const sources = buffer.layout.parameters.map(sourceOf);
    const matrices = packed?.parameters.map(sourceOf) ?? [];
    if (config.isHeadTied) checkpoint.ignore(HEAD);
    for (let layer = 0; layer < config.layers; layer++) {
      checkpoint.ignore(`model.layers.${layer}.self_attn.rotary_emb.inv_freq`);
    }
    checkpoint.assertAllAsked();
    for (const { parameter, source } of matrices) await packed?.fill(parameter, source);
    for (const { parameter, source } of sources) {
      const rowsAtOnce = Math.max(1, Math.floor(CHUNK_VALUES / source.columns));
      for (let first = 0; first < source.rows; first += rowsAtOnce) {
        const count = Math.min(rowsAtOnce, source.rows - first);
        const values = new Float32Array(count * source.columns);
        await source.read(first, count, values);
        await buffer.write(parameter, first * source.columns, values);
      }
    }
  } finally {
    await checkpoint.close();
  }
}

/** Fills every tensor as it begins in a new network. A tensor's numbers depend on the seed and its place alone. */
export async function startWeights(buffer: FlatBuffer, seed: number): Promise<void> {
  for (const [index, parameter] of buffer.layout.parameters.entries()) {
    const count = valueCount(parameter);
    for (let first = 0; first < count; first += CHUNK_VALUES) {
      const values = new Float32Array(Math.min(CHUNK_VALUES, count - first));
      for (let at = 0; at < values.length; at++) values[at] = startValue(parameter, seed, index, first + at);
      await buffer.write(parameter, first, values);
    }
  }
}

function startValue({ start }: Parameter, seed: number, index: number, at: number): number {
  switch (start.kind) {
    case "constant":
      return start.value;
    case "uniform":
      return (2 * uniform(seed, index, at) - 1) * start.bound;
    case "normal": {
      // Box and Muller: two uniform numbers make a normal one.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, index, 2 * at)));
      return radius * Math.cos(2 * Math.PI * uniform(seed, index, 2 * at + 1)) * start.deviation;
    }
    default:
      throw new Error(`no rule for ${JSON.stringify(start satisfies never)}`);
  }
}
