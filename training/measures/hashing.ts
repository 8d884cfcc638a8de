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

/** Hashes of every run of `size` words; of all the words together when they are fewer. */
export function wordShingles(words: readonly string[], size: number): Uint32Array {
  if (words.length === 0) return new Uint32Array();
  const hashes = Uint32Array.from(words, hashText);
  const length = Math.min(size, words.length);
  const shingles = new Uint32Array(words.length - length + 1);
  for (let start = 0; start < shingles.length; start += 1) {
    let h = FNV_OFFSET;
    for (let at = start; at < start + length; at += 1) h = mix32(Math.imul(h, FNV_PRIME) ^ hashes[at]!);
    shingles[start] = h;
  }
  return shingles;
}
