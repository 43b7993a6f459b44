/** Buffers that are kept for the next block. */
const KEPT_MAX = 16;

/**
 * Memory of blocks that are being written. Those that were full are used again: new buffers of that
 * size cost page faults, and have the collector mark the whole heap again and again.
 */
export class BlockBuffers {
  readonly #blockBytes: number;
  readonly #kept: Buffer[] = [];

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  /** Room for at least `sizeBytes` (≤ a block), content undefined. */
  take(sizeBytes: number): Buffer {
    if (sizeBytes < this.#blockBytes) return Buffer.allocUnsafeSlow(sizeBytes);
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
  }

  /**
   * More room in place of what {@link take} gave: at least `sizeBytes`, with the first `usedBytes`
   * bytes as they were.
   */
  grow(buffer: Buffer, sizeBytes: number, usedBytes: number): Buffer {
    const larger = this.take(Math.min(this.#blockBytes, Math.max(sizeBytes, 2 * buffer.length)));
    buffer.copy(larger, 0, 0, usedBytes);
    this.give(buffer);
    return larger;
  }

  /** Gives room back. Nobody may use it any more. */
  give(buffer: Buffer): void {
    const isBlock = buffer.length === this.#blockBytes;
    if (isBlock && this.#kept.length < KEPT_MAX) this.#kept.push(buffer);
  }
}
