// Puts examples into one batch: padded on the right to the longest, with the places whose next token is in the loss.
// Attention is causal, so nothing ever looks at the padding.
import { type Example, IGNORED } from "./examples.ts";
import type { Batch } from "./network.ts";

/** `padId` may be any id of the vocabulary. */
export function batchOf(examples: readonly Example[], padId: number): Batch {
  const tokens = Math.max(0, ...examples.map(({ ids }) => ids.length));
  const ids = new BigInt64Array(examples.length * tokens).fill(BigInt(padId));
  const rows: bigint[] = [];
  const targets: bigint[] = [];
  for (const [sequence, example] of examples.entries()) {
    const first = sequence * tokens;
    for (const [at, id] of example.ids.entries()) {
      ids[first + at] = BigInt(id);
      const next = example.labels[at + 1];
      if (next === undefined || next === IGNORED) continue;
      rows.push(BigInt(first + at));
      targets.push(BigInt(next));
    }
  }
  return {
    sequences: examples.length,
    tokens,
    ids,
    rows: BigInt64Array.from(rows),
    targets: BigInt64Array.from(targets),
  };
}
