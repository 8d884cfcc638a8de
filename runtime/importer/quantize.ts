// Symmetric block quantization to 4 and 8 bits, in the layout that MatMulNBits and GatherBlockQuantized read:
// unsigned values around the middle of their range, 4-bit ones two a byte (first in the low half), one scale a block.
// Pure arithmetic over rows in memory; it knows no file and no graph.

export type Bits = 4 | 8;
export type Scales = Float32Array | Float16Array;

/** The next of a row of numbers from 0 up to, but not including, 1. */
export type Chance = () => number;

/** Equal seeds give equal numbers. */
export function seededChance(seed: number): Chance {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export interface BlockLayout {
  readonly blocksPerRow: number;
  readonly bytesPerRow: number;
}

/** The last block of a row that `blockSize` does not divide is filled up with zeros. */
export function blockLayout(columns: number, bits: Bits, blockSize: number): BlockLayout {
  const blocksPerRow = Math.ceil(columns / blockSize);
  return { blocksPerRow, bytesPerRow: (blocksPerRow * blockSize * bits) / 8 };
}

/**
 * Quantizes `rows` rows. Scales are rounded to the type of `scales` first and the values to those, so that a value and
 * its reconstruction differ by at most half a step (4 bits: half a step, a whole one at the far end of the range). With a `chance`
 * each value goes to one of its two neighbours, more often to the nearer one, so that it is right on average.
 */
export function quantizeRows(
  values: Float32Array,
  rows: number,
  columns: number,
  bits: Bits,
  blockSize: number,
  packed: Uint8Array,
  scales: Scales,
  chance: Chance | null = null,
): void {
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits, blockSize);
  const blockBytes = (blockSize * bits) / 8;
  const top = 2 ** (bits - 1) - 1;
  const middle = top + 1;
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocksPerRow; block++) {
      const start = row * columns + block * blockSize;
      const end = Math.min(start + blockSize, (row + 1) * columns);
      const scaleAt = row * blocksPerRow + block;
      scales[scaleAt] = blockScale(values, start, end, bits);
      // Read back: it may have been rounded to float16.
      const scale = scales[scaleAt];
      const inverse = scale === 0 ? 0 : 1 / scale;
      const at = row * bytesPerRow + block * blockBytes;
      for (let i = 0; i < blockSize; i++) {
        const value = start + i < end ? values[start + i]! : 0;
        const rounded = chance === null ? Math.round(value * inverse) : Math.floor(value * inverse + chance());
        const level = Math.max(-middle, Math.min(top, rounded)) + middle;
        if (bits === 8) packed[at + i] = level;
        else if (i % 2 === 0) packed[at + (i >> 1)] = level;
        else packed[at + (i >> 1)]! |= level << 4;
      }
    }
  }
}

/** The reconstruction of what quantizeRows wrote. */
export function dequantizeRows(
  packed: Uint8Array,
  scales: Scales,
  rows: number,
  columns: number,
  bits: Bits,
  blockSize: number,
): Float32Array {
  const { blocksPerRow, bytesPerRow } = blockLayout(columns, bits, blockSize);
  const middle = 2 ** (bits - 1);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const byte = packed[row * bytesPerRow + ((column * bits) >> 3)]!;
      const level = bits === 8 ? byte : (byte >> (4 * (column % 2))) & 15;
      values[row * columns + column] = (level - middle) * scales[row * blocksPerRow + Math.floor(column / blockSize)]!;
    }
  }
  return values;
}

/**
 * 8 bits: the largest magnitude becomes 127. 4 bits: the value of largest magnitude becomes -8, whatever its sign: the
 * range is lopsided, and a negative scale turns its longer side to where it is needed.
 */
function blockScale(values: Float32Array, start: number, end: number, bits: Bits): number {
  let extreme = 0;
  for (let i = start; i < end; i++) {
    if (Math.abs(values[i]!) > Math.abs(extreme)) extreme = values[i]!;
  }
  return bits === 8 ? Math.abs(extreme) / 127 : extreme / -8;
}
