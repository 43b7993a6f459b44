import type { BlockId } from '../block/block-key.ts';
import type { Random } from '../runtime/random.ts';
import type { CacheDisk } from './cache-disk.ts';
import type { DiskEntry } from './disk-entry.ts';
import type { EvictionName } from './eviction/create-policy.ts';
import { createPolicy } from './eviction/create-policy.ts';
import type { EvictionPolicy } from './eviction/policy.ts';
import type { TierMetrics } from './tier-metrics.ts';

/** Which blocks lie on which disk, and what each disk evicts next. */
export class DiskIndex {
  readonly #entries = new Map<BlockId, DiskEntry>();
  readonly #policies = new Map<CacheDisk, EvictionPolicy<DiskEntry>>();
  readonly #metrics: TierMetrics;
  #inserts = 0;
  #bytes = 0;

  constructor(parts: {
    disks: readonly CacheDisk[];
    eviction: EvictionName;
    random: Random;
    metrics: TierMetrics;
    /** Whether worker threads read the entry since this was last asked. */
    takeVisited: (entry: DiskEntry) => boolean;
  }) {
    this.#metrics = parts.metrics;
    const probe = {
      takeVisited: (entry: DiskEntry) => {
        // What the kernel reads by itself, nobody sees.
        const visited = parts.takeVisited(entry) || entry.visited || entry.holders > 0;
        entry.visited = false;
        return visited;
      },
      // A file can be unlinked while it is read: it stays until it is closed. With a view it would stay for long.
      isPinned: (entry: DiskEntry) => entry.holders > 0,
      now: () => this.#inserts,
    };
    for (const disk of parts.disks) {
      this.#policies.set(disk, createPolicy(parts.eviction, probe, parts.random));
    }
  }

  get blocks(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(id: BlockId): DiskEntry | undefined {
    return this.#entries.get(id);
  }

  /** All entries, while others come and go. */
  entries(): Iterator<DiskEntry> {
    return this.#entries.values();
  }

  ids(): Iterable<BlockId> {
    return this.#entries.keys();
  }

  /** Adds an entry whose id is not there. */
  insert(entry: DiskEntry): void {
    this.#inserts += 1;
    this.#entries.set(entry.id, entry);
    this.#policyOf(entry.disk).insert(entry);
    this.#count(entry, 1);
  }

  /** Takes an entry out. @returns whether it was still there */
  remove(entry: DiskEntry, evicted: boolean): boolean {
    if (entry.isGone) return false;
    entry.isGone = true;
    this.#entries.delete(entry.id);
    this.#policyOf(entry.disk).remove(entry, evicted);
    this.#count(entry, -1);
    return true;
  }

  /** What the disk should evict next. */
  victim(disk: CacheDisk): DiskEntry | undefined {
    return this.#policyOf(disk).victim();
  }

  /** Mean room of the disk's entries. */
  averageBytes(disk: CacheDisk): number {
    const policy = this.#policyOf(disk);
    return policy.blocks === 0 ? 0 : policy.bytes / policy.blocks;
  }

  /** The entries of one disk. */
  *entriesOf(disk: CacheDisk): Generator<DiskEntry> {
    for (const entry of this.#entries.values()) if (entry.disk === disk) yield entry;
  }

  #policyOf(disk: CacheDisk): EvictionPolicy<DiskEntry> {
    return this.#policies.get(disk) as EvictionPolicy<DiskEntry>;
  }

  #count(entry: DiskEntry, sign: 1 | -1): void {
    entry.disk.usedBytes += sign * entry.sizeBytes;
    this.#bytes += sign * entry.sizeBytes;
    this.#metrics.bytes.add(sign * entry.sizeBytes);
    this.#metrics.blocks.add(sign);
  }
}
