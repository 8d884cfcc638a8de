// Owns the 32-bit hashes that stand for pieces of text here: characters n-grams, words, word shingles.
// Stable by contract: fitted tables and models are addressed with them. Not for security.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Murmur3's finalizer: every bit of the input reaches every bit of the output. */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of a text's UTF-16 code units. */
export function hashText(text: string): number {
  let h = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1) h = Math.imul(h ^ text.charCodeAt(index), FNV_PRIME);
  return mix32(h);
}

/** Calls back with the hash of every run of `min` to `max` UTF-16 code units. */
export function eachCharGram(text: string, min: number, max: number, visit: (hash: number) => void): void {
  for (let start = 0; start < text.length; start += 1) {
    let h = FNV_OFFSET;
    const end = Math.min(start + max, text.length);
    for (let index = start; index < end; index += 1) {
      h = Math.imul(h ^ text.charCodeAt(index), FNV_PRIME);
      if (index - start + 1 >= min) visit(mix32(h));
    }
  }
}

/** Hashes of every run of `size` words, each once; of all the words together when they are fewer. */
export function wordShingles(words: readonly string[], size: number): Uint32Array {
  if (words.length === 0) return new Uint32Array();
  const hashes = words.map(hashText);
  const shingles = new Set<number>();
  const last = Math.max(0, words.length - size);
  for (let start = 0; start <= last; start += 1) {
    let h = FNV_OFFSET;
    for (const hash of hashes.slice(start, start + size)) h = mix32(Math.imul(h, FNV_PRIME) ^ hash);
    shingles.add(h);
  }
  return Uint32Array.from(shingles);
}
