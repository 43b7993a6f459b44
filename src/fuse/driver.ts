import type { Ino } from '../posix/ino.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { Startable } from '../runtime/startable.ts';

/** Where worker threads find a part of a file by themselves. */
export interface Extent {
  /** Content version: the upper half of the file handle. */
  readonly fileId: number;
  /** First byte of the extent in the file; the extent lies in one unit (block-sized, aligned part) of the file. */
  readonly fileOffset: number;
  readonly lengthBytes: number;
  readonly lease: LeaseRef;
  /** Where the extent begins in the leased bytes. */
  readonly leaseOffset: number;
  /** The file ends where the extent ends. */
  readonly endsFile: boolean;
  /** Tell `FuseOperations.touched` when a worker first reads from it. */
  readonly notify: boolean;
}

/** Takes extents that worker threads may serve. A later extent of the same unit replaces an earlier one. */
export interface ExtentSink {
  publish(extent: Extent): void;
  /** Forgets the unit of the file that `fileOffset` lies in. */
  retract(fileId: number, fileOffset: number): void;
}

/** Files of ours that the kernel reads by itself, in place of asking for the bytes of a file. */
export interface BackingFiles {
  /**
   * @param fd - may be closed afterwards: the kernel keeps the file
   * @param lengthBytes - what it must have: the kernel reads all of it, whatever length a file has here
   * @returns a number for the file, > 0, or a negative errno: EPERM without CAP_SYS_ADMIN, ELOOP on a
   *   stacked file system, EIO when it has another length
   */
  open(fd: number, lengthBytes: number): number;
  /** Ends a number. No open file may have it any more. */
  close(id: number): void;
}

/** Connects {@link FuseOperations} to the kernel. `start` mounts, `stop` unmounts. */
export interface FuseDriver extends Startable {
  readonly name: 'kernel' | 'fuse-native';
  /** Resolves when the mount is gone, whoever unmounted it. */
  readonly closed: Promise<void>;
  /** Undefined when the driver has no worker threads that serve data. */
  readonly extents: ExtentSink | undefined;
  /** Undefined before the mount is there, and where the kernel does not do that. */
  readonly backing: BackingFiles | undefined;
  /** The kernel drops its attribute and, from `offset` on (negative: none), its pages. */
  invalidateInode(ino: Ino, offset: number, lengthBytes: number): void;
  /**
   * Whether {@link invalidateEntry} leaves a name that is in use where it is, and replies of the vfs are all
   * that the kernel goes by. False before the mount is there.
   */
  readonly takesBack: boolean;
  /** The kernel looks a name up when it is used again. */
  invalidateEntry(parent: Ino, name: Uint8Array): void;
}
