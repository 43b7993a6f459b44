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
