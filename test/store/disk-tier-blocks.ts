import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockId } from '../../src/block/block-key.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import type { MemoryMetrics } from '../../src/runtime/metrics.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { DiskTierOptions } from '../../src/store/disk-tier.ts';
import { DirectoryDiskTier } from '../../src/store/disk-tier.ts';

/** The volume that every test's blocks belong to. */
export const VOLUME = '11111111-2222-3333-4444-555555555555';

/** A disk tier with what is around it. */
export interface TestTier {
  readonly tier: DirectoryDiskTier;
  readonly leases: LeaseTable;
  readonly metrics: MemoryMetrics;
}

/** A disk tier on these directories; what is not told has small, harmless values. */
export function makeDiskTier(
  directories: readonly string[],
  options: Partial<DiskTierOptions> = {},
): TestTier {
  const slots = options.slots ?? { firstSlot: 3, slotCount: 64 };
  const leases = options.leases ?? LeaseTable.create(slots.firstSlot + slots.slotCount);
  const metrics = memoryMetrics();
  const tier = new DirectoryDiskTier({
    directories,
    volumeUuid: VOLUME,
    cacheBytes: 1024 * 1024 * 1024,
    freeSpaceRatio: 0.0001,
    fileMode: 0o600,
    checksums: 'once',
    eviction: 'steady',
    queueBytesMax: 256 * 1024 * 1024,
    openFilesMax: 64,
    ioTimeoutMs: 10_000,
    leases,
    slots,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    metrics,
    ...options,
  });
  return { tier, leases, metrics };
}

/** The name of a test's block. */
export function blockId(number: number, sizeBytes: number): BlockId {
  return `${number}_0_${sizeBytes}` as BlockId;
}

/** Bytes that only this block has. */
export function contentOf(number: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let state = (number + 1) * 2654435761;
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Puts a block and waits until it is written. */
export async function putBlock(tier: DirectoryDiskTier, number: number, sizeBytes: number) {
  tier.put(blockId(number, sizeBytes), contentOf(number, sizeBytes), () => undefined);
  await tier.flushed();
}

/** The whole block as the tier has it; undefined when it is not there or damaged. */
export async function readBlock(
  tier: DirectoryDiskTier,
  number: number,
  sizeBytes: number,
): Promise<Uint8Array | undefined> {
  const signal = new AbortController().signal;
  const file = await tier.open(blockId(number, sizeBytes), signal);
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(sizeBytes);
    await file.read({ offset: 0, length: sizeBytes }, bytes, signal);
    return bytes;
  } finally {
    file.release();
  }
}

/** Paths of all files below the blocks' folders of a cache directory. */
export function blockFiles(directory: string): string[] {
  const root = join(directory, VOLUME, 'cachemesh', 'blocks');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath, found.name));
}

/** What this process has open: the targets of all descriptors, or of one. */
export function openFiles(fd?: number): string[] {
  const fds = fd === undefined ? readdirSync('/proc/self/fd') : [String(fd)];
  return fds.flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      // Closed since it was listed.
      return [];
    }
  });
}

/** Compares as the runtime does: the test framework's own comparison takes seconds per megabyte. */
export function sameBytes(actual: Uint8Array | undefined, expected: Uint8Array): boolean {
  return actual !== undefined && Buffer.compare(actual, expected) === 0;
}
