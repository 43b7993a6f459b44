import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { existsSync } from 'node:fs';
import { KernelDriver } from '../../src/fuse/kernel/kernel-driver.ts';
import type { KernelDriverOptions } from '../../src/fuse/kernel/kernel-driver-options.ts';
import { mountedAt } from '../../src/fuse/kernel/mount-table.ts';
import type { FuseFileSystem } from '../../src/fuse/file-system.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import type { MemoryMetrics } from '../../src/runtime/metrics.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';

const run = promisify(execFile);

/** Why real mounts cannot be tested here; undefined when they can. */
export const cannotMount =
  process.getuid?.() !== 0 || !existsSync('/dev/fuse') ? 'needs root and /dev/fuse' : undefined;

/** Runs a program on the mount, never for longer than `timeoutMs`. */
export async function shell(command: readonly string[], timeoutMs = 20_000): Promise<Buffer> {
  const [program, ...args] = command;
  const options = {
    encoding: 'buffer',
    maxBuffer: 2 ** 28,
    timeout: timeoutMs,
    killSignal: 9,
  } as const;
  return (await run(program as string, args, options)).stdout;
}

/** Runs a Python program on the mount: it has the system calls that Node lacks. */
export async function python(program: string, ...args: string[]): Promise<string> {
  return (await shell(['python3', '-c', program, ...args])).toString().trim();
}

/** A new mountpoint. */
export async function makeMountpoint(): Promise<string> {
  const run = process.env['CACHEMESH_TEST_RUN'] ?? 'x';
  return mkdtemp(join(tmpdir(), `cachemesh-${run}-fuse-`));
}

/** Cuts every connection at a mountpoint, so that nothing can hang there, and removes it. */
export async function clearMountpoint(mountpoint: string): Promise<void> {
  for (let round = 0; round < 4; round++) {
    const entry = mountedAt(mountpoint);
    if (entry === undefined) break;
    // Force makes the kernel abort the connection, whether or not its control files are mounted.
    await shell(['umount', '-i', '-f', '-l', mountpoint]).catch(() => undefined);
  }
  await rm(mountpoint, { recursive: true, force: true });
}

/** A mount of a test. */
export interface TestMount {
  readonly mountpoint: string;
  readonly driver: KernelDriver;
  readonly metrics: MemoryMetrics;
  readonly leases: LeaseTable;
  /** Unmounts; cuts the connection when that takes too long. */
  close(): Promise<void>;
}

/** Mounts `operations`, with libc unless the options say otherwise. */
export async function mountVolume(
  operations: FuseFileSystem,
  options: Partial<KernelDriverOptions> = {},
): Promise<TestMount> {
  const mountpoint = options.mountpoint ?? (await makeMountpoint());
  const metrics = memoryMetrics();
  const leases = options.leases ?? LeaseTable.create(64);
  const driver = new KernelDriver({
    operations,
    mountpoint,
    fsname: 'cachemesh:test',
    unitBytes: 64 * 1024,
    memory: undefined,
    libc: loadLibc(),
    acl: false,
    clock: systemClock,
    logger: silentLogger,
    metrics,
    onFatal: (error) => {
      throw error;
    },
    ...options,
    leases,
  });
  await driver.start();
  const close = async () => {
    const guard = setTimeout(() => void clearMountpoint(mountpoint), 15_000);
    await driver.stop();
    clearTimeout(guard);
    await clearMountpoint(mountpoint);
  };
  return { mountpoint, driver, metrics, leases, close };
}
