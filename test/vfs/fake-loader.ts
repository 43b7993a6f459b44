import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { ByteRange } from '../../src/block/byte-range.ts';
import type { BlockBytes, BlockLoader } from '../../src/mesh/loader.ts';
import type { LeaseRef } from '../../src/runtime/lease-table.ts';

/** The byte at `position` of a slice. */
export function sliceByte(sliceId: bigint, position: number): number {
  return (Number(sliceId % 251n) * 31 + position * 7 + (position >> 8) * 13 + 1) & 0xff;
}

/** What one block contains. */
export function blockBytes(key: BlockKey, fullBytes: number): Uint8Array {
  const from = key.index * fullBytes;
  return Uint8Array.from({ length: key.sizeBytes }, (_, at) => sliceByte(key.sliceId, from + at));
}

/** A read that was asked for. */
export interface AskedRead {
  readonly id: string;
  readonly range: ByteRange;
  readonly whole: boolean;
}

/** Blocks with computed content, which can be delayed, made to fail, and cached on cue. */
export class FakeLoader implements BlockLoader {
  readonly reads: AskedRead[] = [];
  readonly prefetched: string[] = [];
  /** Blocks of each call of `gather`. */
  readonly gathered: string[][] = [];
  /** Blocks that have a lease. */
  readonly leases = new Map<string, LeaseRef>();
  /** Called before each read; may wait or throw. */
  before: (key: BlockKey, attempt: number, signal: AbortSignal) => Promise<void> = async () =>
    undefined;
  /** Prefetches end at once and leave the block cached; otherwise call {@link finish}. */
  instant = true;
  held = 0;
  readonly #fullBytes: number;
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(fullBytes: number) {
    this.#fullBytes = fullBytes;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async read(
    key: BlockKey,
    range: ByteRange,
    options: { whole: boolean; signal: AbortSignal },
  ): Promise<BlockBytes> {
    this.reads.push({ id: blockIdOf(key), range, whole: options.whole });
    await this.before(key, this.reads.length, options.signal);
    const bytes = blockBytes(key, this.#fullBytes).subarray(
      range.offset,
      range.offset + range.length,
    );
    this.held += 1;
    let released = false;
    const release = () => {
      if (released) throw new Error('released twice');
      released = true;
      this.held -= 1;
    };
    return { bytes, from: 'memory', release };
  }

  prefetch(key: BlockKey, done: () => void = () => undefined): void {
    const id = blockIdOf(key);
    this.prefetched.push(id);
    if (this.instant) {
      this.cache(id);
      done();
      return;
    }
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), done]);
  }

  gather(keys: readonly BlockKey[], done: (key: BlockKey) => void): void {
    this.gathered.push(keys.map((key) => blockIdOf(key)));
    for (const key of keys) {
      const id = blockIdOf(key);
      if (this.instant) {
        this.cache(id);
        done(key);
        continue;
      }
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), () => done(key)]);
    }
  }

  /** Ends the prefetches of a block, which is then cached. */
  finish(id: string): void {
    this.cache(id);
    const waiting = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    for (const done of waiting) done();
  }

  /** Gives a block a (new) lease. */
  cache(id: string): void {
    this.leases.set(id, {
      slot: this.leases.size,
      generation: (this.leases.get(id)?.generation ?? 0) + 1,
    });
  }

  isCurrent(lease: LeaseRef): boolean {
    return [...this.leases.values()].includes(lease);
  }

  lease(key: BlockKey): LeaseRef | undefined {
    return this.leases.get(blockIdOf(key));
  }
}
