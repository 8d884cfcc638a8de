// Takes apart what the importer put together: one matrix out of several below each other, attention heads without the zeros
// that widened them. Nothing here holds more than the rows asked for. It knows neither files nor graphs.
import type { RowSource } from "../importer/rows.ts";

/** Rows `from … from + rows - 1`. */
export function sliceRows(source: RowSource, from: number, rows: number): RowSource {
  return { rows, columns: source.columns, read: (first, count, target) => source.read(from + first, count, target) };
}

/** Undoes padHeadRows: of each rotary half (a run of `paddedDim / 2` rows) the first `headDim / 2`. */
export function narrowHeadRows(source: RowSource, headDim: number, paddedDim: number): RowSource {
  if (headDim === paddedDim) return source;
  const half = headDim / 2;
  const paddedHalf = paddedDim / 2;
  const { columns } = source;
  return {
    rows: (source.rows / paddedDim) * headDim,
    columns,
    async read(first, count, target) {
      for (let row = first; row < first + count;) {
        const block = Math.floor(row / half);
        const inBlock = row % half;
        const run = Math.min(first + count - row, half - inBlock);
        const slice = target.subarray((row - first) * columns, (row - first + run) * columns);
        await source.read(block * paddedHalf + inBlock, run, slice);
        row += run;
      }
    },
  };
}

/** Undoes padHeadColumns. */
export function narrowHeadColumns(source: RowSource, headDim: number, paddedDim: number): RowSource {
  if (headDim === paddedDim) return source;
  const half = headDim / 2;
  const paddedHalf = paddedDim / 2;
  const columns = (source.columns / paddedDim) * headDim;
  return {
    rows: source.rows,
    columns,
    async read(first, count, target) {
      const wide = new Float32Array(count * source.columns);
      await source.read(first, count, wide);
      for (let block = 0; block < (count * columns) / half; block++) {
        target.set(wide.subarray(block * paddedHalf, block * paddedHalf + half), block * half);
      }
    },
  };
}

/**
 * Undoes scaleRows: values that `factor` (0 to 1) takes to those of `source`, to the bit. Several may; one that bfloat16 can say,
 * as checkpoints store them, goes first.
 */
export function unscaleRows(source: RowSource, factor: number): RowSource {
  if (factor === 1) return source;
  return {
    ...source,
    async read(first, count, target) {
      await source.read(first, count, target);
      for (let i = 0; i < count * source.columns; i++) target[i] = unscaled(target[i]!, factor);
    },
  };
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

function unscaled(scaled: number, factor: number): number {
  float[0] = scaled / factor;
  const bits = word[0]!;
  const short = ((bits + 0x8000) & 0xffff_0000) >>> 0;
  for (const candidate of [short, bits, bits + 1, bits - 1]) {
    word[0] = candidate;
    if (Math.fround(float[0] * factor) === scaled) return float[0];
  }
  return scaled / factor;
}
