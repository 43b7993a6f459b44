import type { Piece } from '../block/read-plan.ts';
import { type Attr, sameTime, type Timespec } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';

/**
 * The content of a file as long as its mtime, ctime and length stay. Whatever is derived from the
 * content (reading plans, extents of worker threads) hangs on the version and dies with it.
 */
export class FileVersion {
  /** Upper half of file handles; 1 … 2^32 − 1. No other version has it while this one is in use. */
  readonly fileId: number;
  readonly ino: Ino;
  readonly mtime: Timespec;
  readonly ctime: Timespec;
  /** Bytes, at most 2^53 − 1: the kernel reads no further. */
  readonly lengthBytes: number;
  /** Reading plans by chunk index. Belongs to {@link PlanCache}. */
  readonly plans = new Map<number, CachedPlan>();
  /** What worker threads know, by unit. Belongs to {@link ExtentPublisher}. */
  readonly published = new Map<number, PublishedUnit>();
  /** Open handles that carry the file id. */
  handles = 0;
  /** Whether the file still has this content, as far as we know. */
  current = true;
  /** Whether the kernel may hold pages of this version: it was opened before. */
  opened = false;
  /**
   * Whether the kernel believes no attribute of another version, so that an open need not make it
   * forget any.
   */
  believed = false;
  /** Bytes written here wait to be committed: worker threads must not read the file by themselves. */
  readonly dirty: boolean;

  constructor(fileId: number, ino: Ino, attr: Attr, dirty = false) {
    this.fileId = fileId;
    this.dirty = dirty;
    this.ino = ino;
    this.mtime = attr.mtime;
    this.ctime = attr.ctime;
    this.lengthBytes = lengthOf(attr);
  }

  /** Whether this is what the file contains, as far as we know, and all of it is committed. */
  get isSteady(): boolean {
    return this.current && !this.dirty;
  }

  /** Whether `attr` describes this version. */
  matches(attr: Attr): boolean {
    return (
      sameTime(attr.mtime, this.mtime) &&
      sameTime(attr.ctime, this.ctime) &&
      lengthOf(attr) === this.lengthBytes
    );
  }
}

/** How the bytes of one chunk are found. */
export interface CachedPlan {
  readonly version: FileVersion;
  readonly index: number;
  readonly pieces: readonly Piece[];
}

/** What worker threads know of one unit of a file. */
export interface PublishedUnit {
  readonly version: FileVersion;
  readonly unit: number;
  readonly lease: LeaseRef;
}

function lengthOf(attr: Attr): number {
  return attr.length > BigInt(Number.MAX_SAFE_INTEGER)
    ? Number.MAX_SAFE_INTEGER
    : Number(attr.length);
}
