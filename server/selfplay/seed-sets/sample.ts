// Owns taking a sample of a seed set: each category by its share, the rows within it by chance, both from one random seed.
// Pure; equal seeds give equal samples on every machine.
import { createHash } from "node:crypto";
import type { SeedItem } from "../simulators/simulator.ts";

/**
 * How many of `size` each group gets: in proportion to its count, the seats that rounding leaves going to the largest
 * remainders, of equal ones to the earlier group. Never more than there are.
 */
export function apportion(counts: readonly number[], size: number): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const seats = Math.min(size, total);
  if (total === 0) return counts.map(() => 0);
  // Whole numbers throughout: quotients of floats could tie or not by accident.
  const shares = counts.map((count) => Math.floor((count * seats) / total));
  const order = counts
    .map((count, index) => ({ index, remainder: (count * seats) % total }))
    .toSorted((a, b) => b.remainder - a.remainder || a.index - b.index);
  const left = seats - shares.reduce((sum, share) => sum + share, 0);
  for (const { index } of order.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}

/** `size` items in random order, each category by its share; items without one are a category of their own. */
export function sampleSeeds(items: readonly SeedItem[], size: number, seed: number): SeedItem[] {
  const groups = new Map<string | null, SeedItem[]>();
  for (const item of items) {
    const group = groups.get(item.category);
    if (group === undefined) groups.set(item.category, [item]);
    else group.push(item);
  }
  const lists = [...groups.values()];
  const shares = apportion(
    lists.map((list) => list.length),
    size,
  );
  return shuffled(
    lists.flatMap((list, index) => shuffled(list, seed).slice(0, shares[index])),
    seed,
  );
}

/** In the order of the hashes of seed and row: adding rows to a file does not reshuffle the others. */
function shuffled(items: readonly SeedItem[], seed: number): SeedItem[] {
  const keyOf = ({ row }: SeedItem) => createHash("sha256").update(`seed-set-sample-1/${seed}/${row}`).digest("hex");
  return items
    .map((item) => ({ item, key: keyOf(item) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ item }) => item);
}
