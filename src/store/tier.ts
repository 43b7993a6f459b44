import type { BlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { ViewSpec } from '../block/view-spec.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { Startable } from '../runtime/startable.ts';

/** A whole block in memory that stays where it is until it is released. */
export interface HeldBlock {
  /** Lets worker threads read the same bytes; undefined while the block is not cached. */
  readonly lease: LeaseRef;
  readonly bytes: Uint8Array;
  /** Call exactly once. */
  release(): void;
}

/** Room for a block that is on its way. */
export interface Reservation {
  /** Exactly the asked number of bytes, content undefined. */
  readonly bytes: Uint8Array;
  /** The bytes are complete: the block is cached from now on (when `keep`) and held for the caller. */
  commit(id: BlockId, options: { keep: boolean }): HeldBlock;
  /** Gives the room back. */
  abandon(): void;
}

/** How full a tier is. */
export interface TierUsage {
  readonly blocks: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/**
 * Blocks in memory, in one arena that also holds the blocks which are on their way. All calls are
 * synchronous and belong to the main thread; worker threads see the blocks through the lease table.
 */
export interface MemoryTier {
  /** The block, held for the caller; marks it as used. */
  get(id: BlockId): HeldBlock | undefined;
  /** Lets worker threads read the block; that is no use of it yet, and no hit. */
  lease(id: BlockId): LeaseRef | undefined;
  /** Whether it is there, without marking it as used. */
  has(id: BlockId): boolean;
  /** Room for `sizeBytes`, evicting what is old; undefined when everything is held. */
  reserve(sizeBytes: number): Reservation | undefined;
  delete(id: BlockId): void;
  /** The blocks that are cached, while others come and go. */
  ids(): Iterable<BlockId>;
  usage(): TierUsage;
  /** Frees the arena. Nothing may be held any more. */
  close(): void;
}

/** What is known of a cache file, also when it was released. */
export interface FileStanding {
  /** The file still is the block's: it was neither evicted nor found damaged, and its disk answers. */
  readonly isGood: boolean;
}

/** What a block is opened for: its lease, or to be read at once by who opens it. */
export type OpenPurpose = 'lease' | 'read';

/** A block in a cache file that stays open until it is released. */
export interface HeldFile {
  /** Lets worker threads read the file by itself; undefined when each read must be checked. */
  readonly lease: LeaseRef | undefined;
  readonly sizeBytes: number;
  readonly standing: FileStanding;
  /** @throws CacheError when the bytes cannot be read or are wrong; the block is then gone */
  read(range: ByteRange, into: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Call exactly once. */
  release(): void;
}

/** A file that shares the room of cached blocks; nothing was copied. */
export interface MadeView {
  /** Valid as long as the standing is good, until the caller gives the thread away. */
  readonly fd: number;
  readonly lengthBytes: number;
  readonly standing: FileStanding;
  /**
   * The kernel is about to read it by itself: its blocks are not evicted until {@link letGo}.
   *
   * @returns false when as much is held as may be
   */
  hold(): boolean;
  letGo(): void;
  /** It is opened: its blocks count as used. */
  used(): void;
  /** Nobody is to open it any more. May be called more than once. */
  end(): void;
}

/**
 * Why there is no view: `missing`: a block is not there, or went; `unaligned`: a part lies beside pages;
 * `full`: there are as many as may be; `failed`: the disk did; `unable`: it shares nothing.
 */
export type ViewRefusal = 'missing' | 'unaligned' | 'full' | 'failed' | 'unable';

/** Puts files together from cached blocks, where the file system lets files share room. */
export interface ViewTier {
  /** Why there are no views at all; undefined: there can be. Known once the tier is started. */
  readonly unfit: string | undefined;
  /** So many there can be at once. */
  readonly most: number;
  /**
   * Each block is checked before it becomes part of the view.
   *
   * @throws the signal's reason when aborted
   */
  make(spec: ViewSpec, signal: AbortSignal): Promise<MadeView | ViewRefusal>;
}

/**
 * Blocks on local disks. A block that was found damaged is dropped and counted: it is simply not
 * there. Nothing here ever throws because of a disk; a disk that fails is dropped.
 */
export interface DiskTier extends Startable {
  /** Undefined when nobody wants any. */
  readonly views?: ViewTier | undefined;
  /**
   * The block's file, checked as configured; undefined when it is not there or damaged.
   *
   * @param purpose - `read`: the first read of a small block checks it, in the same step, and only
   *   then there is a lease. `lease` when left out
   */
  open(id: BlockId, signal: AbortSignal, purpose?: OpenPurpose): Promise<HeldFile | undefined>;
  has(id: BlockId): boolean;
  /** How long a read of the block may take before it is looked for elsewhere, too, in ms. */
  lateMs(id: BlockId): number;
  /**
   * Writes a block in the background. `done` is called once, when `bytes` is no longer needed.
   * A full queue, or no disk left, drops the block and counts it.
   */
  put(id: BlockId, bytes: Uint8Array, done: () => void): void;
  delete(id: BlockId): void;
  /** Resolves when everything put so far is on disk or dropped. */
  flushed(): Promise<void>;
  /** Resolves when everything that lay in the directories at the start is known. */
  scanned(): Promise<void>;
  /** The blocks that are known, while others come and go. */
  ids(): Iterable<BlockId>;
  usage(): TierUsage;
}
