import type { LeaseTable } from '../runtime/lease-table.ts';
import type { Random } from '../runtime/random.ts';
import type { Arena } from './arena.ts';
import type { EvictionName } from './eviction/create-policy.ts';
import { createPolicy } from './eviction/create-policy.ts';
import type { EvictionPolicy, EvictionProbe } from './eviction/policy.ts';
import type { MemoryEntry } from './memory-entry.ts';
import type { Slab } from './slab.ts';

/** A slab is taken from another class when its next victim is idle for so many times longer. */
const TAKE_FACTOR = 2;
/** Slabs that are compared before one is taken. */
const SLABS_COMPARED = 4;

/**
 * Chooses what leaves the memory tier. Each size class has a policy of its own, for a victim is of
 * use only where its slot fits; across classes the ages of their next victims are compared, and
 * the slab with the coldest content goes to the class in need. So a change from large blocks to
 * small ones moves memory as fast as it is asked for.
 */
export class MemoryEviction {
  readonly #arena: Arena<MemoryEntry>;
  readonly #random: Random;
  readonly #policies: readonly EvictionPolicy<MemoryEntry>[];
  readonly #probe: EvictionProbe<MemoryEntry>;
  #inserts = 0;

  constructor(parts: {
    arena: Arena<MemoryEntry>;
    leases: LeaseTable;
    random: Random;
    eviction: EvictionName;
  }) {
    const { arena, leases, random, eviction } = parts;
    this.#arena = arena;
    this.#random = random;
    this.#probe = {
      takeVisited: (entry) => {
        const visited = leases.takeVisited(entry.lease.slot) || entry.visited;
        entry.visited = false;
        return visited;
      },
      isPinned: (entry) => leases.isPinned(entry.lease.slot),
      now: () => this.#inserts,
    };
    this.#policies = arena.classes.sizes.map(() => createPolicy(eviction, this.#probe, random));
  }

  /** How many blocks there are. */
  get blocks(): number {
    return this.#policies.reduce((sum, policy) => sum + policy.blocks, 0);
  }

  insert(entry: MemoryEntry): void {
    this.#inserts += 1;
    this.#policyOf(entry).insert(entry);
  }

  remove(entry: MemoryEntry, evicted: boolean): void {
    this.#policyOf(entry).remove(entry, evicted);
  }

  /** Of all classes' next victims the one that is idle for longest. */
  coldest(except?: number): MemoryEntry | undefined {
    let coldest: MemoryEntry | undefined;
    this.#policies.forEach((policy, classIndex) => {
      if (classIndex === except || policy.blocks === 0) return;
      const victim = policy.victim();
      if (victim === undefined) return;
      if (coldest === undefined || victim.seenAt < coldest.seenAt) coldest = victim;
    });
    return coldest;
  }

  /**
   * What to evict so that a slot of this class, or a whole slab, becomes free.
   *
   * @returns nothing when all that would help is held
   */
  victimsFor(classIndex: number): readonly MemoryEntry[] {
    const own = this.#policies[classIndex]?.victim();
    const other = this.coldest(classIndex);
    if (other !== undefined && (own === undefined || this.#isMuchColder(other, own))) {
      const slab = this.#coldSlab(other, own === undefined);
      if (slab !== undefined) return slab.entries.filter((entry) => entry !== undefined);
    }
    if (own !== undefined) return [own];
    return this.#anySlab()?.entries.filter((entry) => entry !== undefined) ?? [];
  }

  #policyOf(entry: MemoryEntry): EvictionPolicy<MemoryEntry> {
    return this.#policies[entry.room.slab.classIndex] as EvictionPolicy<MemoryEntry>;
  }

  #isMuchColder(other: MemoryEntry, own: MemoryEntry): boolean {
    return this.#inserts - other.seenAt > TAKE_FACTOR * (this.#inserts - own.seenAt);
  }

  /** The coldest of a few slabs of the victim's class, its own among them, that can be emptied. */
  #coldSlab(victim: MemoryEntry, needed: boolean): Slab<MemoryEntry> | undefined {
    const slabs = this.#arena.slabsOf(victim.room.slab.classIndex);
    let best: Slab<MemoryEntry> | undefined;
    let bestSeenAt = Number.POSITIVE_INFINITY;
    for (let draw = 0; draw < SLABS_COMPARED; draw += 1) {
      const slab = draw === 0 ? victim.room.slab : slabs[this.#random.below(slabs.length)];
      if (slab === undefined || !this.#canBeEmptied(slab)) continue;
      const seenAt = this.#meanSeenAt(slab);
      if (seenAt >= bestSeenAt) continue;
      best = slab;
      bestSeenAt = seenAt;
    }
    return best ?? (needed ? slabs.find((slab) => this.#canBeEmptied(slab)) : undefined);
  }

  /** The last resort, when the class itself and the coldest class are held. */
  #anySlab(): Slab<MemoryEntry> | undefined {
    for (const [classIndex, policy] of this.#policies.entries()) {
      // A policy that gives no victim is held as a whole, or evicts nothing on principle.
      if (policy.blocks === 0 || policy.victim() === undefined) continue;
      const slab = this.#arena.slabsOf(classIndex).find((other) => this.#canBeEmptied(other));
      if (slab !== undefined) return slab;
    }
    return undefined;
  }

  #canBeEmptied(slab: Slab<MemoryEntry>): boolean {
    if (!slab.isAllCached) return false;
    return slab.entries.every((entry) => entry === undefined || !this.#probe.isPinned(entry));
  }

  #meanSeenAt(slab: Slab<MemoryEntry>): number {
    let sum = 0;
    for (const entry of slab.entries) {
      if (entry === undefined) continue;
      if (this.#probe.takeVisited(entry)) entry.visited = true;
      sum += entry.visited ? this.#inserts : entry.seenAt;
    }
    return sum / Math.max(1, slab.cached);
  }
}
