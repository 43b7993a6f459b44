import type { Random } from '../../src/runtime/random.ts';

/** Chance that repeats: the same seed gives the same numbers on every machine. */
export interface SeededRandom extends Random {
  /** A number, 0 ≤ n < 1, with 32 random bits. */
  fraction(): number;
  /** Whether something of this probability (0 … 1) happens. Always draws one number. */
  chance(probability: number): boolean;
  /** A number, `from` ≤ n < `to`. */
  between(from: number, to: number): number;
  /** One of `values`, which must not be empty. */
  pick<T>(values: readonly T[]): T;
  /** Chance of its own for a part of the world, so that parts do not shift each other's numbers. */
  fork(name: string): SeededRandom;
}

/** @param seed - 0 … 2^32 − 1; sfc32 (public domain) started from it */
export function seededRandom(seed: number): SeededRandom {
  let a = seed >>> 0;
  let b = (seed ^ 0x9e37_79b9) >>> 0;
  let c = (seed ^ 0x85eb_ca6b) >>> 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next();
  const fraction = () => next() / 2 ** 32;
  return {
    below: (limit) => Math.floor(fraction() * limit),
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 1) bytes[at] = next() & 0xff;
      return bytes;
    },
    fraction,
    chance: (probability) => fraction() < probability,
    between: (from, to) => from + fraction() * (to - from),
    pick: <T>(values: readonly T[]) => values[Math.floor(fraction() * values.length)] as T,
    fork: (name) => seededRandom((seedOf(name) ^ seed) >>> 0),
  };
}

/** A seed from a name. @returns 0 … 2^32 − 1 (FNV-1a) */
export function seedOf(name: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < name.length; at += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  }
  return hash >>> 0;
}
