// Owns randomness: a counter-based generator (Philox4x32-10, Salmon et al. 2011), so that the draw for one token depends
// on the request's seed and the token's place alone, never on what was drawn before or beside it.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** One block of four 32-bit numbers for a counter and a key, each a 32-bit unsigned integer. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round += 1) {
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A number in [0, 1) with 53 random bits for the token at `index` of choice `choiceIndex` under `seed` (a safe integer). */
export function uniform(seed: number, choiceIndex: number, index: number): number {
  const key: [number, number] = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  const [a, b] = philox4x32([index >>> 0, choiceIndex >>> 0, 0, 0], key);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}

// The upper half of a 32 × 32 bit product, from 16-bit pieces that a double holds exactly.
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}
