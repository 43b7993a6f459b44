import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { FillOptions } from '../../src/block/block-source.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import type { HeldBlock, MemoryTier, Reservation } from '../../src/store/tier.ts';

/** The bytes that a block has everywhere in these tests. */
export function bytesOf(key: BlockKey): Uint8Array {
  const bytes = new Uint8Array(key.sizeBytes);
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[at] = (Number(key.sliceId) * 31 + key.index * 7 + at * 13 + (at >> 8)) & 0xff;
  }
  return bytes;
}

/** A memory tier of plain buffers that fills freed memory with 0xDD, so that late use shows. */
export class PlainMemoryTier implements MemoryTier {
  readonly blocks = new Map<BlockId, Uint8Array>();
  reserved = 0;
  held = 0;
  full = false;

  get(id: BlockId): HeldBlock | undefined {
    const bytes = this.blocks.get(id);
    return bytes === undefined ? undefined : this.#hold(bytes, true);
  }
  has(id: BlockId): boolean {
    return this.blocks.has(id);
  }
  reserve(sizeBytes: number): Reservation | undefined {
    if (this.full) return undefined;
    const bytes = new Uint8Array(sizeBytes);
    this.reserved += 1;
    return {
      bytes,
      commit: (id, { keep }) => {
        this.reserved -= 1;
        if (keep) this.blocks.set(id, bytes);
        return this.#hold(bytes, keep);
      },
      abandon: () => {
        this.reserved -= 1;
        bytes.fill(0xdd);
      },
    };
  }
  delete(id: BlockId): void {
    this.blocks.delete(id);
  }
  usage() {
    return { blocks: this.blocks.size, usedBytes: 0, capacityBytes: 0 };
  }
  close(): void {}

  #hold(bytes: Uint8Array, keep: boolean): HeldBlock {
    this.held += 1;
    return {
      lease: { slot: 1, generation: 1 },
      bytes,
      release: () => {
        this.held -= 1;
        if (!keep) bytes.fill(0xdd);
      },
    };
  }
}

/** A source whose progress the test decides: `release(n)` lets the first n bytes through. */
export class GatedSource {
  rangeable = true;
  readonly calls: { id: BlockId; range: ByteRange }[] = [];
  error: Error | undefined;
  #allowed = 0;
  readonly #wake = new Set<() => void>();

  constructor(options: { open: boolean } = { open: true }) {
    if (options.open) this.#allowed = Number.POSITIVE_INFINITY;
  }

  release(bytes: number, error?: Error): void {
    this.#allowed = bytes;
    this.error = error;
    for (const wake of this.#wake) wake();
    this.#wake.clear();
  }

  async fill(key: BlockKey, range: ByteRange, into: Uint8Array, options: FillOptions) {
    this.calls.push({ id: blockIdOf(key), range });
    const bytes = bytesOf(key);
    let done = 0;
    while (done < range.length) {
      const ready = Math.min(range.length, this.#allowed);
      if (ready > done) {
        into.set(bytes.subarray(range.offset + done, range.offset + ready), done);
        done = ready;
        options.onProgress?.(done);
      } else if (this.error !== undefined) {
        throw this.error;
      } else {
        await this.#wait(options.signal);
      }
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#wake.add(resolve);
    });
  }
}
