import { seededRandom } from './seeded-random.ts';

/** Any memory tier of a simulation fits into so much; what is not touched costs nothing. */
export const PIECE_BYTES = 32 * 2 ** 20;
/** Bytes that all blocks of all volumes are cut from. */
const POOL_BYTES = 8 * 2 ** 20;

/**
 * What the simulations of one thread use one after the other, since making it anew costs as much time as
 * their events: one stock for each thread, handed to all of them.
 */
export class SimStock {
  readonly #spare: Uint8Array[] = [];
  #pool: Uint8Array | undefined;

  /** Random bytes, the same in every process. Not to be changed. */
  get pool(): Uint8Array {
    this.#pool ??= makePool();
    return this.#pool;
  }

  /**
   * {@link PIECE_BYTES} of memory, full of old bytes, as malloc's would be. The system's own would be
   * given back late: the collector does not see how large it is.
   */
  take(): Uint8Array {
    // Shared, as the product's own where it has no libc.
    return this.#spare.pop() ?? new Uint8Array(new SharedArrayBuffer(PIECE_BYTES));
  }

  /** Another simulation may have these pieces. */
  giveBack(pieces: readonly Uint8Array[]): void {
    this.#spare.push(...pieces);
  }
}

function makePool(): Uint8Array {
  const words = new Uint32Array(POOL_BYTES / 4);
  const random = seededRandom(1);
  for (let at = 0; at < words.length; at += 1) words[at] = random.below(2 ** 32);
  return new Uint8Array(words.buffer);
}
