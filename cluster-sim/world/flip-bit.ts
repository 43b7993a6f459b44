import type { SeededRandom } from './seeded-random.ts';

/** Turns one bit around. @param bytes - not empty */
export function flipBit(bytes: Uint8Array, random: SeededRandom): void {
  const at = random.below(bytes.byteLength);
  bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
}
