import { randomFillSync } from 'node:crypto';

/** The only door to chance. The daemon hands in {@link systemRandom}, the simulator a seeded one. */
export interface Random {
  /** A whole number, 0 ≤ n < `limit` (1 … 2^32). */
  below(limit: number): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

/** The machine's own randomness. */
export const systemRandom: Random = {
  below: (limit) => Math.floor(Math.random() * limit),
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

/** Puts a list in random order, in place. @returns the same list */
export function shuffle<T>(list: T[], random: Random): T[] {
  for (let at = list.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [list[at], list[other]] = [list[other] as T, list[at] as T];
  }
  return list;
}
