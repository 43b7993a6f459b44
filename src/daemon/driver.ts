import type { FuseDriver } from '../fuse/driver.ts';
import { KernelDriver } from '../fuse/kernel/kernel-driver.ts';
import { NativeDriver } from '../fuse/native/native-driver.ts';
import type { DirectReads } from '../meta/direct-reads.ts';
import type { LeaseTable } from '../runtime/lease-table.ts';
import type { SharedMemory } from '../runtime/system/shared-memory.ts';
import type { Vfs } from '../vfs/vfs.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { MountConfig } from './mount-config.ts';
import { wantsPassthrough } from './passthrough.ts';

/** What a driver is chosen for. */
export interface DriverParts {
  readonly vfs: Vfs;
  /** Undefined when the metadata cannot be asked by threads. */
  readonly direct: DirectReads | undefined;
  readonly fsname: string;
  readonly blockBytes: number;
  readonly acl: boolean;
  readonly leases: LeaseTable;
  readonly memory: SharedMemory;
  readonly onFatal: (error: Error) => void;
}

/** The driver that `--fuse-driver` asks for; `auto` is our own on Linux. */
export function createDriver(
  config: MountConfig,
  parts: DriverParts,
  context: DaemonContext,
): FuseDriver {
  const { driver, workers, allowOther } = config.fuse;
  const kernel = driver === 'kernel' || (driver === 'auto' && process.platform === 'linux');
  if (kernel) {
    const { direct, vfs } = parts;
    const { libc } = context;
    const canShortcut = direct !== undefined && libc !== undefined;
    return new KernelDriver({
      ...context,
      operations: vfs,
      shortcut: canShortcut ? vfs.createShortcut(direct, libc) : undefined,
      mountpoint: config.mountpoint,
      fsname: parts.fsname,
      unitBytes: parts.blockBytes,
      leases: parts.leases,
      memory: parts.memory,
      acl: parts.acl,
      passthrough: wantsPassthrough(config),
      workers,
      allowOther: allowOther ? true : undefined,
      onFatal: parts.onFatal,
    });
  }
  return new NativeDriver(parts.vfs, {
    ...context,
    mountpoint: config.mountpoint,
    sourceName: parts.fsname,
    caller: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: process.pid },
    ...(allowOther ? { allowOther } : {}),
    entryTimeoutMs: config.reading.entryCacheMs,
    attrTimeoutMs: config.reading.attrCacheMs,
  });
}
