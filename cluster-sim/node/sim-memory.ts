import assert from 'node:assert/strict';
import type { MemoryCalls } from '../../src/runtime/system/shared-memory.ts';
import { PIECE_BYTES, type SimStock } from '../world/sim-stock.ts';

/**
 * Memory for the memory tiers of one simulation. What a process leaves behind when it dies stays until
 * {@link SimMemory.close}: code of a dead process may still look at it.
 */
export class SimMemory implements MemoryCalls {
  readonly #stock: SimStock;
  readonly #pieces: Uint8Array[] = [];

  constructor(stock: SimStock) {
    this.#stock = stock;
  }

  mmap(_address: number, length: number): number {
    assert(length <= PIECE_BYTES, `${length} bytes of memory are more than a simulation has`);
    this.#pieces.push(this.#stock.take());
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
    this.#stock.giveBack(this.#pieces.splice(0));
  }
}
