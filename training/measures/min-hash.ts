// Owns MinHash: a short signature of a set from which its Jaccard similarity to another can be estimated.
// It does not know what the set's members stand for.
import { mix32 } from "./hashing.ts";

/** Values of a signature. The estimate's standard error at similarity s is √(s(1−s)/128): 0.035 at 0.8. */
export const SIGNATURE_LENGTH = 128;

const salts = Uint32Array.from({ length: SIGNATURE_LENGTH }, (_, index) => mix32(0x9e3779b9 * (index + 1)));

/** For each of 128 orders of all 32-bit numbers, the member that comes first. An empty set gives the largest values. */
export function minHash(members: Uint32Array): Uint32Array {
  const signature = new Uint32Array(SIGNATURE_LENGTH);
  for (let index = 0; index < SIGNATURE_LENGTH; index += 1) {
    const salt = salts[index]!;
    let first = 0xffffffff;
    for (let at = 0; at < members.length; at += 1) {
      // A bijection of 32-bit numbers that differs with the salt stands for a permutation.
      let h = Math.imul(members[at]! ^ salt, 0x9e3779b1);
      h ^= h >>> 15;
      h = Math.imul(h, 0x85ebca6b);
      h = (h ^ (h >>> 13)) >>> 0;
      if (h < first) first = h;
    }
    signature[index] = first;
  }
  return signature;
}

/** Share of equal values: an unbiased estimate of the sets' Jaccard similarity. */
export function estimateJaccard(a: Uint32Array, b: Uint32Array): number {
  let equal = 0;
  for (let index = 0; index < SIGNATURE_LENGTH; index += 1) if (a[index] === b[index]) equal += 1;
  return equal / SIGNATURE_LENGTH;
}

/** |A ∩ B| / |A ∪ B|; two empty sets are the same. */
export function jaccard<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): number {
  const common = a.intersection(b).size;
  const all = a.size + b.size - common;
  return all === 0 ? 1 : common / all;
}
