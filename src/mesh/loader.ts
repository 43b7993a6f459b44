import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { FileStanding } from '../store/tier.ts';
import type { Startable } from '../runtime/startable.ts';

/** `missing`: the origin has no such object; `failed`: no source could deliver; `corrupt`: wrong bytes. */
export type BlockReadErrorCode = 'missing' | 'failed' | 'corrupt';

/** A block could not be read from anywhere; `cause` is the last source's error. */
export class BlockReadError extends CodedError<BlockReadErrorCode> {}

/** Where bytes came from. */
export type ByteOrigin = 'memory' | 'disk' | 'peer' | 'origin';

/** Bytes of a block that stay where they are until they are released. */
export interface BlockBytes {
  readonly bytes: Uint8Array;
  readonly from: ByteOrigin;
  /** Call exactly once. */
  release(): void;
}

/** A cache file that is open, and that may be read unchecked. */
export interface CachedFile {
  /** Valid until the caller gives the thread away. */
  readonly fd: number;
  readonly lengthBytes: number;
  readonly standing: FileStanding;
  /** What it takes to hold the file for long; undefined: its room is counted by who holds it. */
  readonly claim?: {
    /** @returns false when as much is held as may be */
    hold(): boolean;
    letGo(): void;
  };
}

/** Cache files as such. */
export interface CachedFiles {
  /**
   * The file of a block, when it is open; it holds the block's bytes and nothing else. One that is
   * there but not open is opened and checked behind the scenes, so that it is found later.
   */
  cachedFile(key: BlockKey): CachedFile | undefined;
}

/** Gets blocks from where they are nearest: memory, disk, the peer that owns them, the origin. */
export interface BlockLoader extends Startable {
  /**
   * Bytes `range` of a block; resolves as soon as these bytes are there, which may be long before
   * the whole block is.
   *
   * @param options - `whole`: on a miss bring the whole block into the cache (sequential readers);
   *   otherwise a small range is brought alone when the volume allows it, and the block follows in
   *   the background as far as `--prefetch` allows
   * @throws BlockReadError; the signal's reason when aborted
   */
  read(
    key: BlockKey,
    range: ByteRange,
    options: { whole: boolean; signal: AbortSignal },
  ): Promise<BlockBytes>;
  /** Starts to bring a block into the cache; calls `done` when it is there or cannot be had. */
  prefetch(key: BlockKey, done?: () => void): void;
  /**
   * Starts to bring small blocks into the cache, those of one peer in few requests. Nobody may be
   * waiting for them: when in doubt a block is not brought.
   *
   * @param done - called once for each key, perhaps before this returns: the block is there, or will
   *   not come this way
   */
  gather(keys: readonly BlockKey[], done: (key: BlockKey) => void): void;
  /** Lets worker threads read a cached block by themselves: from memory, or from its cache file. */
  lease(key: BlockKey): LeaseRef | undefined;
  /** Whether what {@link lease} gave still leads to the block. */
  isCurrent(lease: LeaseRef): boolean;
}
