import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../src/runtime/random.ts';
import type { EvictionName } from '../../../src/store/eviction/create-policy.ts';
import { createPolicy, EVICTION_NAMES } from '../../../src/store/eviction/create-policy.ts';
import { Ghosts } from '../../../src/store/eviction/ghosts.ts';
import { PolicyEntry } from '../../../src/store/eviction/policy.ts';

class Entry extends PolicyEntry {
  visited = false;
  pinned = false;
}

/** A policy and the truth beside it. */
function makePolicy(name: EvictionName) {
  const entries = new Map<number, Entry>();
  let inserts = 0;
  const probe = {
    takeVisited: (entry: Entry) => {
      const was = entry.visited;
      entry.visited = false;
      return was;
    },
    isPinned: (entry: Entry) => entry.pinned,
    now: () => inserts,
  };
  const policy = createPolicy<Entry>(name, probe, systemRandom);
  return {
    policy,
    entries,
    insert(key: number, sizeBytes = 1): Entry {
      inserts += 1;
      const entry = new Entry(sizeBytes, key);
      entries.set(key, entry);
      policy.insert(entry);
      return entry;
    },
    remove(key: number, evicted: boolean) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entries.delete(key);
      policy.remove(entry, evicted);
    },
    evict(): Entry | undefined {
      const victim = policy.victim();
      if (victim !== undefined) this.remove(victim.hash, true);
      return victim;
    },
  };
}

const evicting = ['steady', '2-random', 'lru'] as const;

describe('eviction policies', () => {
  it.each(EVICTION_NAMES)(
    '%s counts right and gives only entries that it has and that may go',
    (name) => {
      const step = fc.record({
        kind: fc.constantFrom(
          ...([
            'insert',
            'insert',
            'insert',
            'evict',
            'evict',
            'remove',
            'visit',
            'pin',
            'unpin',
          ] as const),
        ),
        key: fc.nat(40),
        size: fc.integer({ min: 1, max: 100 }),
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
          const it = makePolicy(name);
          for (const { kind, key, size } of steps) {
            const entry = it.entries.get(key);
            if (kind === 'insert' && entry === undefined) it.insert(key, size);
            if (kind === 'remove') it.remove(key, false);
            if (kind === 'visit' && entry !== undefined) entry.visited = true;
            if (kind === 'pin' && entry !== undefined) entry.pinned = true;
            if (kind === 'unpin' && entry !== undefined) entry.pinned = false;
            if (kind === 'evict') {
              const victim = it.policy.victim();
              const free = [...it.entries.values()].filter((other) => !other.pinned);
              assert.equal(victim !== undefined, name !== 'none' && free.length > 0);
              assert.equal(it.policy.victim(), victim);
              if (victim !== undefined) {
                assert(!victim.pinned);
                assert.equal(it.entries.get(victim.hash), victim);
                it.evict();
              }
            }
            const sizes = [...it.entries.values()].map((other) => other.sizeBytes);
            expect(it.policy.blocks).toBe(sizes.length);
            expect(it.policy.bytes).toBe(sizes.reduce((sum, bytes) => sum + bytes, 0));
          }
          for (const entry of it.entries.values()) entry.pinned = false;
          if (name === 'none') return;
          // Everything can be evicted, each entry once.
          for (let left = it.entries.size; left > 0; left -= 1) expect(it.evict()).toBeDefined();
          expect(it.policy.victim()).toBeUndefined();
          expect(it.policy.bytes).toBe(0);
        }),
        { numRuns: 200 },
      );
    },
  );

  it.each(evicting)('%s gives a victim even when everything was used', (name) => {
    const it = makePolicy(name);
    for (let key = 0; key < 2000; key += 1) it.insert(key).visited = true;
    expect(it.evict()).toBeDefined();
  });

  it('lru evicts in the order of use', () => {
    const it = makePolicy('lru');
    for (const key of [1, 2, 3]) it.insert(key);
    (it.entries.get(1) as Entry).visited = true;
    expect([it.evict()?.hash, it.evict()?.hash, it.evict()?.hash]).toEqual([2, 3, 1]);
  });

  it('steady keeps what is used again while a scan goes through', () => {
    const it = makePolicy('steady');
    for (let key = 0; key < 100; key += 1) it.insert(key);
    for (let key = 1000; key < 3000; key += 1) {
      for (let hot = 0; hot < 50; hot += 1) {
        const entry = it.entries.get(hot);
        if (entry !== undefined) entry.visited = true;
      }
      it.evict();
      // The pieces of the scan's own read.
      it.insert(key).visited = true;
    }
    const kept = Array.from({ length: 50 }, (_, hot) => it.entries.has(hot)).filter(Boolean).length;
    expect(kept).toBe(50);
  });

  it('steady lets newcomers go, not what is used, beside many that are pinned for long', () => {
    const it = makePolicy('steady');
    // Taken out again, so that there is room for all of them on trial.
    for (let key = 0; key < 10_000; key += 1) it.insert(key);
    for (let key = 0; key < 1000; key += 1) it.evict();
    for (let key = 20_000; key < 20_400; key += 1) {
      Object.assign(it.insert(key), { pinned: true, visited: true });
    }
    const isHeld = (key: number) => it.entries.get(key)?.pinned === true;
    const before = new Set(it.entries.keys());
    for (let key = 30_000; key < 34_000; key += 1) {
      it.insert(key);
      // As a disk tells of what the kernel reads by itself.
      for (let held = 20_000; held < 20_400; held += 1) {
        (it.entries.get(held) as Entry).visited = true;
      }
      it.evict();
    }
    const kept = [...before].filter((key) => it.entries.has(key)).length;
    expect(Array.from({ length: 400 }, (_, index) => isHeld(20_000 + index))).not.toContain(false);
    expect(kept / before.size).toBeGreaterThan(0.8);
  });

  it('steady gets hits from a loop that is twice as large as the cache, and leaves it when it ends', () => {
    const it = makePolicy('steady');
    let hits = 0;
    const use = (key: number) => {
      const entry = it.entries.get(key);
      if (entry !== undefined) {
        entry.visited = true;
        hits += 1;
        return;
      }
      if (it.entries.size >= 1000) it.evict();
      it.insert(key);
    };
    for (let round = 0; round < 10; round += 1) for (let key = 0; key < 2000; key += 1) use(key);
    expect(hits).toBeGreaterThan(0.3 * 9 * 2000);
    // Another set that fits must be held after a few rounds.
    for (let round = 0; round < 12; round += 1) for (let key = 5000; key < 5900; key += 1) use(key);
    hits = 0;
    for (let key = 5000; key < 5900; key += 1) use(key);
    expect(hits).toBeGreaterThan(700);
  });
});

describe('ghosts', () => {
  it('remember the last evictions only, each until it is taken', () => {
    const ghosts = new Ghosts();
    for (let hash = 0; hash < 10_000; hash += 1) ghosts.add(hash, hash * 2, 300);
    expect(ghosts.take(9_999)).toBe(19_998);
    expect(ghosts.take(9_999)).toBeUndefined();
    expect(ghosts.take(9_700)).toBe(19_400);
    expect(ghosts.take(9_699)).toBeUndefined();
  });
});
