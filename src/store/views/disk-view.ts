import type { CacheDisk } from '../cache-disk.ts';
import type { DiskEntry } from '../disk-entry.ts';
import type { FileStanding } from '../tier.ts';

/** A file that shares the room of cached blocks. It has no name: it ends with its last descriptor. */
export class DiskView implements FileStanding {
  readonly disk: CacheDisk;
  readonly fd: number;
  readonly lengthBytes: number;
  /** Whose bytes it shows. */
  readonly entries = new Set<DiskEntry>();
  /** It is complete. */
  isMade = false;
  /** It gets no new readers; those that it has may go on. */
  isOver = false;
  /** The kernel reads it by itself: its room is taken as long as it does. */
  isHeld = false;
  /** Calls that use the descriptor, and the tier itself. */
  users = 1;

  constructor(disk: CacheDisk, file: { fd: number; lengthBytes: number }) {
    this.disk = disk;
    this.fd = file.fd;
    this.lengthBytes = file.lengthBytes;
  }

  /** Room of the blocks that it shares. */
  get roomBytes(): number {
    let sum = 0;
    for (const { sizeBytes } of this.entries) sum += sizeBytes;
    return sum;
  }

  /** @see FileStanding.isGood */
  get isGood(): boolean {
    return this.isMade && !this.isOver && !this.disk.isDown && !this.disk.hangs();
  }
}
