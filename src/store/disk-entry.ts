import type { BlockId } from '../block/block-key.ts';
import { hashText } from './block-hash.ts';
import type { CacheDisk } from './cache-disk.ts';
import { hasSumsFile } from './cache-layout.ts';
import { PolicyEntry } from './eviction/policy.ts';

/** File systems give out space in pages of this size. */
const PAGE_BYTES = 4096;

/** A block that lies on a disk. */
export class DiskEntry extends PolicyEntry {
  readonly id: BlockId;
  readonly disk: CacheDisk;
  readonly blockBytes: number;
  /** The checksums as they stand in the file's name; empty when they have a file of their own. */
  readonly sumsText: string;
  /** Every byte was compared with its checksum since the daemon started. */
  isVerified = false;
  /** Used since the policy last asked, as far as workers' uses were taken from the lease table. */
  visited = false;
  /** Views of it that the kernel reads by itself: to evict it would free nothing. */
  holders = 0;
  /** It was taken out of the index. */
  isGone = false;

  constructor(block: { id: BlockId; disk: CacheDisk; blockBytes: number; sumsText: string }) {
    super(roomOf(block.blockBytes), hashText(block.id));
    this.id = block.id;
    this.disk = block.disk;
    this.blockBytes = block.blockBytes;
    this.sumsText = block.sumsText;
  }

  /** @see FileStanding.isGood */
  get isGood(): boolean {
    return !this.isGone && !this.disk.isDown && !this.disk.hangs();
  }

  get path(): string {
    return this.disk.paths.block(this.id, this.sumsText);
  }
}

/** What a block of this size takes on disk, its checksums' file included. */
export function roomOf(blockBytes: number): number {
  const pages = Math.ceil(blockBytes / PAGE_BYTES) + (hasSumsFile(blockBytes) ? 1 : 0);
  return pages * PAGE_BYTES;
}
