/**
 * Hashing that every member of a group must agree on, in this release and all later ones.
 * Changing a result here moves every block of every running cache: test vectors stand guard.
 */

const PRIME_A = 0x85ebca6b;
const PRIME_B = 0xc2b2ae35;
const GOLDEN = 0x9e3779b1;

/**
 * Spreads each bit of a 32-bit word over all of them (MurmurHash3's finaliser, public domain).
 *
 * @returns 0 … 2^32 − 1; a bijection
 */
export function mix32(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, PRIME_A);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, PRIME_B);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * A 32-bit hash of the UTF-16 code units of `text`; different seeds give independent hashes, so
 * two calls make one of 64 bits. Not for secrets.
 *
 * @returns 0 … 2^32 − 1
 */
export function hashText(text: string, seed: number): number {
  let state = mix32(seed ^ GOLDEN);
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), GOLDEN);
    state ^= state >>> 15;
  }
  return mix32(state ^ text.length);
}

/**
 * The `index`-th of a sequence of words that look independent, drawn from a 64-bit hash.
 *
 * @param low - one half of the hash
 * @param high - the other half; its lowest bit is not used
 */
export function wordOf(low: number, high: number, index: number): number {
  return mix32(low + Math.imul(index, high | 1));
}
