import { availableParallelism } from 'node:os';
import type { Clock } from '../../runtime/clock.ts';
import type { LeaseTable } from '../../runtime/lease-table.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import type { SharedMemory } from '../../runtime/system/shared-memory.ts';
import type { FuseFileSystem } from '../file-system.ts';

import type { ShortcutHost } from './request-shortcut.ts';

const WORKERS_MIN = 2;
const WORKERS_MAX = 4;

/** What the kernel driver needs. */
export interface KernelDriverOptions {
  readonly operations: FuseFileSystem;
  /** An existing directory on which nothing alive is mounted. */
  readonly mountpoint: string;
  /** What `df` shows as the source, e.g. `cachemesh:myvolume`. */
  readonly fsname: string;
  /** Size of the volume's blocks: extents lie in aligned units of this size. */
  readonly unitBytes: number;
  readonly leases: LeaseTable;
  /** Where memory leases lie; undefined when there are none. */
  readonly memory: SharedMemory | undefined;
  /** Undefined: the device is used through node:fs, and `memory` must be a SharedArrayBuffer. */
  readonly libc: Libc | undefined;
  /** Offer POSIX ACLs to the kernel. */
  readonly acl: boolean;
  /** Offer to let the kernel read files of ours by itself; needs `libc`. */
  readonly passthrough?: boolean | undefined;
  /** Another way for some requests; needs `libc`. */
  readonly shortcut?: ShortcutHost | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /**
   * A thread that served requests has died. The connection was aborted before, so nobody hangs; the
   * process must end, since bytes that the thread had pinned stay pinned for ever.
   */
  readonly onFatal: (error: Error) => void;
  /** Threads that read the device; default: the number of cores, at least 2 and at most 4. */
  readonly workers?: number | undefined;
  /** Other users may use the mount; default: when root mounts. */
  readonly allowOther?: boolean | undefined;
  /** Entries of the map of extents (64 bytes each once used); default 262,144. */
  readonly extentCapacity?: number | undefined;
}

/** How many threads read the device. */
export function workerCount({ workers }: Pick<KernelDriverOptions, 'workers'>): number {
  return workers ?? Math.max(WORKERS_MIN, Math.min(WORKERS_MAX, availableParallelism()));
}
