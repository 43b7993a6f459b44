import assert from 'node:assert/strict';
import type { MemoryCalls } from '../../src/runtime/system/shared-memory.ts';

/** Any memory tier of a simulation fits into so much; what is not touched costs nothing. */
const PIECE_BYTES = 32 * 2 ** 20;

/**
 * Pieces that a simulation of this thread has done with. Memory of the system would cost each run as
 * much time as its events, and the collector does not see how large it is: it would come back late.
 */
const spare: Uint8Array[] = [];

/**
 * Memory for the memory tiers of one simulation. What a process leaves behind when it dies stays until
 * {@link SimMemory.close}: code of a dead process may still look at it. New pieces are full of old bytes,
 * as those of malloc would be.
 */
export class SimMemory implements MemoryCalls {
  readonly #pieces: Uint8Array[] = [];

  mmap(_address: number, length: number): number {
    assert(length <= PIECE_BYTES, `${length} bytes of memory are more than a simulation has`);
    // Shared, as the product's own where it has no libc.
    this.#pieces.push(spare.pop() ?? new Uint8Array(new SharedArrayBuffer(PIECE_BYTES)));
    return this.#pieces.length * PIECE_BYTES;
  }

  view(address: number, length: number): Uint8Array {
    const piece = this.#pieces[Math.floor(address / PIECE_BYTES) - 1];
    assert(piece !== undefined, `no memory at ${address}`);
    const offset = address % PIECE_BYTES;
    return piece.subarray(offset, offset + length);
  }

  munmap(): number {
    return 0;
  }

  madvise(): number {
    return 0;
  }

  errno(): number {
    return 0;
  }

  /** Another simulation may have all of it. */
  close(): void {
    spare.push(...this.#pieces.splice(0));
  }
}
