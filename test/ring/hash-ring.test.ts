import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { HashRing, type RingMember } from '../../src/ring/hash-ring.ts';

const key = (index: number) => `${1 + index * 3}_${index % 16}_4194304`;

function group(size: number, seed: number, weightOf: (index: number) => number): RingMember[] {
  return Array.from({ length: size }, (_, index) => ({
    nodeId: toNodeId(`12D3KooW${seed}x${index}`),
    weight: weightOf(index),
  }));
}

function loads(ring: HashRing, keys: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let index = 0; index < keys; index += 1) {
    const owner = ring.owner(key(index)) as string;
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  return counts;
}

/** The largest load over its fair share, less what chance explains (4.5 standard deviations). */
function peak(ring: HashRing, keys: number): number {
  const counts = loads(ring, keys);
  const total = ring.members.reduce((sum, { weight }) => sum + weight, 0);
  return Math.max(
    ...ring.members.map(({ nodeId, weight }) => {
      const fair = (keys * weight) / total;
      return ((counts.get(nodeId) ?? 0) - 4.5 * Math.sqrt(fair)) / fair;
    }),
  );
}

test('the answers are the same as in every release', () => {
  const members = [1, 2, 3, 4, 5].map((n) => ({ nodeId: toNodeId(`node-${n}`), weight: n * 50 }));
  const ring = HashRing.build(members, 1);
  const answers = ['1_0_4194304', '2_0_4194304', '18446744073709551615_15_1', '77_3_65536'].map(
    (id) =>
      ring
        .owners(id, 3)
        .map((nodeId) => nodeId.slice(-1))
        .join(''),
  );
  expect(answers).toEqual(['154', '245', '451', '435']);
});

describe('balance', () => {
  test.each([1, 2, 3, 5, 10, 50, 200])('%i nodes of any weight stay below 1.10', (size) => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.boolean(), (seed, equal) => {
        const weightOf = (index: number) => (equal ? 1 : 20 + ((index * 7919 + seed) % 181));
        const ring = HashRing.build(group(size, seed, weightOf), 1);
        expect(peak(ring, 20_000)).toBeLessThanOrEqual(1.1);
      }),
      { numRuns: 10 },
    );
  });

  test('4,000 nodes stay below 1.10 and a weight of 0 owns nothing', { timeout: 60_000 }, () => {
    const members = group(4000, 1, (index) => (index === 7 ? 0 : 100));
    const ring = HashRing.build(members, 1);
    const keys = 400_000;
    const counts = loads(ring, keys);
    expect(counts.has(members[7]?.nodeId as string)).toBe(false);
    expect(peak(ring, keys)).toBeLessThanOrEqual(1.1);
    // The spread beyond that of chance is what the ring itself adds.
    const fair = keys / 3999;
    let squares = 0;
    for (const { nodeId } of ring.members) squares += ((counts.get(nodeId) ?? 0) / fair - 1) ** 2;
    expect(Math.sqrt(Math.max(0, squares / 3999 - 1 / fair))).toBeLessThan(0.05);
  });
});

describe('changes', () => {
  test('a join moves few keys, and only to the node that joined', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(1_000_000), (size, seed) => {
        const weightOf = (index: number) => 50 + ((index * 31 + seed) % 100);
        const after = group(size, seed, weightOf);
        const joined = after[seed % size] as RingMember;
        const before = HashRing.build(
          after.filter((member) => member !== joined),
          1,
        );
        const ring = HashRing.build(after, 2);
        const keys = 4000;
        let moved = 0;
        for (let index = 0; index < keys; index += 1) {
          const owner = ring.owner(key(index));
          if (owner === before.owner(key(index))) continue;
          expect(owner).toBe(joined.nodeId);
          moved += 1;
        }
        const fair = (keys * joined.weight) / after.reduce((sum, { weight }) => sum + weight, 0);
        expect(moved).toBeLessThanOrEqual(1.1 * fair + 4.5 * Math.sqrt(fair));
      }),
      { numRuns: 30 },
    );
  });

  test('on average a join moves at most 1.05 of a fair share', () => {
    let moved = 0;
    let fair = 0;
    for (let seed = 0; seed < 20; seed += 1) {
      const after = group(20, seed, () => 100);
      const before = HashRing.build(after.slice(1), 1);
      const ring = HashRing.build(after, 2);
      for (let index = 0; index < 10_000; index += 1) {
        if (ring.owner(key(index)) !== before.owner(key(index))) moved += 1;
      }
      fair += 10_000 / 20;
    }
    expect(moved / fair).toBeLessThanOrEqual(1.05);
    expect(moved / fair).toBeGreaterThan(0.9);
  });

  test('the order of preference is who owns when those before have left', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(100_000), (size, seed) => {
        const members = group(size, seed, (index) => 1 + ((index + seed) % 4));
        const ring = HashRing.build(members, 1);
        const owners = ring.owners(key(seed), size + 3);
        expect(new Set(owners).size).toBe(size);
        let left = members;
        for (const owner of owners) {
          expect(HashRing.build(left, 2).owner(key(seed))).toBe(owner);
          left = left.filter(({ nodeId }) => nodeId !== owner);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('neither the order of members nor the scale of weights matters', () => {
    const members = group(9, 4, (index) => 1 + index);
    const ring = HashRing.build(members, 1);
    const other = HashRing.build(
      members.toReversed().map(({ nodeId, weight }) => ({ nodeId, weight: weight * 64 })),
      5,
    );
    for (let index = 0; index < 500; index += 1) {
      expect(other.owners(key(index), 3)).toEqual(ring.owners(key(index), 3));
    }
    expect(other.epoch).toBe(5);
  });
});

test('a group without weight owns nothing', () => {
  for (const members of [[], group(3, 1, () => 0)]) {
    const ring = HashRing.build(members, 1);
    expect(ring.owner(key(1))).toBeUndefined();
    expect(ring.owners(key(1), 2)).toEqual([]);
  }
});

test('a node that is in twice and a weight that is no share are bugs', () => {
  const [member] = group(1, 1, () => 1) as [RingMember];
  expect(() => HashRing.build([member, member], 1)).toThrow(/twice/);
  for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => HashRing.build([{ ...member, weight }], 1)).toThrow(/share/);
  }
});
