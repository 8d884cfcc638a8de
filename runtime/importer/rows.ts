// A matrix that is read a few rows at a time, and the few ways the importer rearranges one: joining matrices below each
// other and widening attention heads with zeros. Nothing here holds more than the rows asked for.
// It knows neither files nor graphs.

/** A row-major float matrix; a vector is a matrix of one column. */
export interface RowSource {
  readonly rows: number;
  readonly columns: number;
  /** Fills `target` with rows `first … first + count - 1`. */
  read(first: number, count: number, target: Float32Array): Promise<void>;
}

/** The matrices below each other. All must be equally wide. */
export function joinRows(parts: readonly RowSource[]): RowSource {
  const columns = parts[0]?.columns ?? 0;
  if (parts.some((part) => part.columns !== columns)) throw new Error("joined matrices differ in width");
  return {
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    columns,
    async read(first, count, target) {
      let start = 0;
      for (const part of parts) {
        const from = Math.max(first, start);
        const to = Math.min(first + count, start + part.rows);
        if (from < to) {
          const slice = target.subarray((from - first) * columns, (to - first) * columns);
          await part.read(from - start, to - from, slice);
        }
        start += part.rows;
      }
    },
  };
}

/**
 * Widens every head (a run of `headDim` rows) to `paddedDim` rows by putting zeros behind each of its two rotary halves.
 * Rotation pairs row i with row i + half, so both halves must grow alike.
 */
export function padHeadRows(source: RowSource, headDim: number, paddedDim: number): RowSource {
  if (headDim === paddedDim) return source;
  const half = headDim / 2;
  const paddedHalf = paddedDim / 2;
  const { columns } = source;
  return {
    rows: (source.rows / headDim) * paddedDim,
    columns,
    async read(first, count, target) {
      target.fill(0, 0, count * columns);
      for (let row = first; row < first + count;) {
        const block = Math.floor(row / paddedHalf);
        const inBlock = row % paddedHalf;
        const end = Math.min(first + count, (block + 1) * paddedHalf);
        const real = Math.min(end - row, half - inBlock);
        if (real > 0) {
          const slice = target.subarray((row - first) * columns, (row - first + real) * columns);
          await source.read(block * half + inBlock, real, slice);
        }
        row = end;
      }
    },
  };
}

/** The same for columns: what reads widened heads has zeros where the zeros are. */
export function padHeadColumns(source: RowSource, headDim: number, paddedDim: number): RowSource {
  if (headDim === paddedDim) return source;
  const half = headDim / 2;
  const paddedHalf = paddedDim / 2;
  const columns = (source.columns / headDim) * paddedDim;
  return {
    rows: source.rows,
    columns,
    async read(first, count, target) {
      const narrow = new Float32Array(count * source.columns);
      await source.read(first, count, narrow);
      target.fill(0, 0, count * columns);
      for (let block = 0; block < (count * source.columns) / half; block++) {
        target.set(narrow.subarray(block * half, (block + 1) * half), block * paddedHalf);
      }
    },
  };
}

/** Every value times `factor`. */
export function scaleRows(source: RowSource, factor: number): RowSource {
  if (factor === 1) return source;
  return {
    ...source,
    async read(first, count, target) {
      await source.read(first, count, target);
      for (let i = 0; i < count * source.columns; i++) target[i] = target[i]! * factor;
    },
  };
}
