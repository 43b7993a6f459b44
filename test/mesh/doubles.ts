import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { FillOptions } from '../../src/block/block-source.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import type { LeaseRef } from '../../src/runtime/lease-table.ts';
import type {
  DiskTier,
  HeldBlock,
  HeldFile,
  MemoryTier,
  Reservation,
} from '../../src/store/tier.ts';

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
  lease(id: BlockId): LeaseRef | undefined {
    return this.blocks.has(id) ? { slot: 1, generation: 1 } : undefined;
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
  ids() {
    return this.blocks.keys();
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

/** A disk that writes when the test lets it. */
export class SlowDisk implements DiskTier {
  readonly blocks = new Map<BlockId, Uint8Array>();
  readonly writing: { id: BlockId; bytes: Uint8Array; done: () => void }[] = [];
  /** Looks wait for {@link answer}, and then tell what was there when they were asked. */
  isSlow = false;
  #answer = Promise.withResolvers<void>();

  async open(id: BlockId): Promise<HeldFile | undefined> {
    const bytes = this.blocks.get(id);
    if (this.isSlow) await this.#answer.promise;
    if (bytes === undefined) return undefined;
    return {
      lease: undefined,
      standing: { isGood: true },
      sizeBytes: bytes.byteLength,
      read: async ({ offset, length }, into) => into.set(bytes.subarray(offset, offset + length)),
      release: () => undefined,
    };
  }
  has(id: BlockId): boolean {
    return this.blocks.has(id);
  }
  lateMs(): number {
    return Number.POSITIVE_INFINITY;
  }
  put(id: BlockId, bytes: Uint8Array, done: () => void): void {
    this.writing.push({ id, bytes, done });
  }
  /** All that was put is on the disk now. */
  write(): void {
    for (const { id, bytes, done } of this.writing.splice(0)) {
      this.blocks.set(id, bytes.slice());
      done();
    }
  }
  answer(): void {
    this.isSlow = false;
    this.#answer.resolve();
  }
  delete(id: BlockId): void {
    this.blocks.delete(id);
  }
  async flushed(): Promise<void> {}
  async scanned(): Promise<void> {}
  ids() {
    return this.blocks.keys();
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  usage() {
    return { blocks: this.blocks.size, usedBytes: 0, capacityBytes: 0 };
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
