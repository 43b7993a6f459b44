import { beforeEach, describe, expect, test } from 'vitest';
import { type BlockId, blockIdOf } from '../../src/block/block-key.ts';
import { toNodeId } from '../../src/block/node-id.ts';
import { GroupRing } from '../../src/mesh/group-ring.ts';
import type { GroupView, Member } from '../../src/peer/block-exchange.ts';
import { type ManualClock, manualClock } from '../store/manual-clock.ts';

const IDS: readonly BlockId[] = Array.from({ length: 3000 }, (_, n) =>
  blockIdOf({ sliceId: BigInt(n + 1), index: n % 16, sizeBytes: 4_194_304 }),
);
const member = (n: number, more: Partial<Member> = {}): Member => ({
  nodeId: toNodeId(`node-${n}`),
  addresses: [],
  weight: 100,
  ...more,
});
const members = (count: number) => Array.from({ length: count }, (_, n) => member(n));

let clock: ManualClock;
let view: GroupView;
let onChange: (view: GroupView) => void;

function ringOver(first: GroupView, self = 0, replicas = 1): GroupRing {
  view = first;
  const membership = {
    current: () => view,
    subscribe: (listener: (next: GroupView) => void) => {
      onChange = listener;
      return () => undefined;
    },
    start: async () => undefined,
    stop: async () => undefined,
  };
  return new GroupRing(toNodeId(`node-${self}`), membership, { clock, replicas });
}

function become(change: Partial<GroupView>): void {
  view = { ...view, epoch: view.epoch + 1, ...change };
  onChange(view);
}

const first = (ring: GroupRing) => IDS.map((id) => ring.owners(id, 1)[0]);

beforeEach(() => {
  clock = manualClock();
});

describe('a ninth member joins eight', () => {
  test('at most 1.1/9 of the blocks move, all of them to it, and their former owners are known', async () => {
    const ring = ringOver({ epoch: 1, members: members(8) });
    const before = first(ring);
    await clock.advance(60_000);
    become({ members: members(9) });
    const after = first(ring);
    const moved = IDS.filter((_, at) => before[at] !== after[at]);
    expect(moved.length / IDS.length).toBeLessThanOrEqual(1.1 / 9);
    expect(moved.length / IDS.length).toBeGreaterThan(0.9 / 9);
    for (const [at, id] of IDS.entries()) {
      if (before[at] === after[at]) continue;
      expect(after[at]).toBe('node-8');
      if (before[at] === 'node-0') continue;
      expect(ring.formerOwners(id, 1)).toEqual([before[at]]);
    }
    const stayed = IDS.find((_, at) => before[at] === after[at] && after[at] !== 'node-0');
    expect(ring.formerOwners(stayed as BlockId, 1)).toEqual([]);
    await clock.advance(600_000);
    expect(moved.flatMap((id) => ring.formerOwners(id, 1))).toEqual([]);
  });

  test('the new one itself takes the next owners for the former ones, which they were', async () => {
    const old = ringOver({ epoch: 1, members: members(8) }, 1);
    const before = first(old);
    const ring = ringOver({ epoch: 1, members: members(9), joinedMs: 0 }, 8);
    const shown = IDS.map((id) => {
      const [owner] = ring.owners(id, 1);
      return owner === 'node-8' ? ring.formerOwners(id, 1)[0] : owner;
    });
    expect(shown).toEqual(before);
    expect(first(ring)).toContain('node-8');
    await clock.advance(600_000);
    expect(IDS.flatMap((id) => ring.formerOwners(id, 1))).toEqual([]);
  });
});

test('a drained member owns nothing and is the former owner of what it had', async () => {
  const ring = ringOver({ epoch: 1, members: members(4) });
  const before = first(ring);
  await clock.advance(10_000);
  become({ members: [...members(3), member(3, { weight: 0 })] });
  const after = first(ring);
  const shown = IDS.map((id, at) =>
    before[at] === 'node-3' ? ring.formerOwners(id, 1)[0] : after[at],
  );
  expect(shown).toEqual(before);
  expect(after).not.toContain('node-3');
});

test('one that does not answer is passed over, and the ring is not another one', async () => {
  const ring = ringOver({ epoch: 1, members: members(4) });
  const ranked = IDS.map((id) => ring.owners(id, 4));
  await clock.advance(10_000);
  become({ members: members(3), suspected: [member(3)] });
  for (const [at, id] of IDS.entries()) {
    expect(ring.owners(id, 2)).toEqual(ranked[at]?.filter((n) => n !== 'node-3').slice(0, 2));
    expect(ring.formerOwners(id, 3)).toEqual([]);
  }
  expect(ring.epoch).toBe(1);
  become({ members: members(3), suspected: [] });
  expect(ring.epoch).toBe(3);
  for (const [at, id] of IDS.entries()) {
    expect(ring.owners(id, 2)).toEqual(ranked[at]?.filter((n) => n !== 'node-3').slice(0, 2));
    // It is gone: nobody is to ask it, although it was the owner.
    expect(ring.formerOwners(id, 3)).toEqual([]);
  }
});

test('a ring that was valid for a moment only is not remembered', async () => {
  const ring = ringOver({ epoch: 1, members: members(3) });
  const before = first(ring);
  await clock.advance(10_000);
  become({ members: members(4) });
  await clock.advance(500);
  become({ members: members(5) });
  for (const [at, id] of IDS.entries()) {
    const former = ring.formerOwners(id, 5);
    if (ring.owners(id, 1)[0] === before[at] || before[at] === 'node-0') continue;
    expect(former).toEqual([before[at]]);
  }
});

test('of several owners those of our zone come first, and the first owner stays the first owner', () => {
  const zoned = members(6).map((m, n) => ({ ...m, zone: n % 2 === 0 ? 'a' : 'b' }));
  const ring = ringOver({ epoch: 1, members: zoned });
  for (const id of IDS) {
    const owners = ring.owners(id, 3);
    const near = ring.nearest(id, 3);
    expect(near.toSorted()).toEqual(owners.toSorted());
    const isNear = (node: string) => Number(node.slice(5)) % 2 === 0;
    expect(near).toEqual([...owners.filter(isNear), ...owners.filter((n) => !isNear(n))]);
  }
});

describe('with two replicas', () => {
  const zoneOf = (n: number) => 'abc'[n % 3] as string;
  const zoned = members(9).map((m, n) => ({ ...m, zone: zoneOf(n) }));
  const numberOf = (node: string | undefined) => Number(node?.slice(5));

  test('the two holders stand in different zones, and the first owner is the one without zones', () => {
    const plain = ringOver({ epoch: 1, members: members(9) });
    const firsts = first(plain);
    const ring = ringOver({ epoch: 1, members: zoned }, 0, 2);
    const load = new Map<string, number>();
    for (const [at, id] of IDS.entries()) {
      const [one, other, ...rest] = ring.owners(id, 4);
      expect(one).toBe(firsts[at]);
      expect(zoneOf(numberOf(one))).not.toBe(zoneOf(numberOf(other)));
      expect(new Set([one, other, ...rest]).size).toBe(4);
      // Those who ask for fewer see the beginning of the same list.
      expect(ring.owners(id, 2)).toEqual([one, other]);
      for (const node of [one, other]) load.set(node ?? '', (load.get(node ?? '') ?? 0) + 1);
    }
    const most = Math.max(...load.values()) / ((2 * IDS.length) / 9);
    expect(most).toBeLessThan(1.2);
  });

  test('a zone of one node does not get a copy of everything', () => {
    const lonely = members(30).map((m, n) => ({ ...m, zone: n === 0 ? 'b' : 'a' }));
    const ring = ringOver({ epoch: 1, members: lonely }, 1, 2);
    const held = IDS.filter((id) => ring.owners(id, 2).includes(toNodeId('node-0')));
    // It is among the eight that are looked at for that part of the blocks.
    expect(held.length / IDS.length).toBeLessThan(0.4);
    for (const id of IDS) expect(new Set(ring.owners(id, 2)).size).toBe(2);
  });

  test('readers of a zone begin with different ones of the holders there', () => {
    const ring = ringOver({ epoch: 1, members: zoned.map((m) => ({ ...m, zone: 'a' })) }, 0, 2);
    const id = IDS[0] as BlockId;
    const [one, other] = ring.owners(id, 2);
    expect(ring.nearest(id, 2, 0)).toEqual([one, other]);
    expect(ring.nearest(id, 2, 1)).toEqual([other, one]);
    const far = ringOver({ epoch: 1, members: zoned }, 0, 2);
    for (const turn of [0, 1, 2, 3]) {
      const nearest = far.nearest(id, 2, turn);
      const inZone = nearest.findIndex((node) => zoneOf(numberOf(node)) === 'a');
      expect([-1, 0]).toContain(inZone);
    }
  });
});

test('a ring has the same name wherever it is, and another one when its members or weights differ', () => {
  const one = ringOver({ epoch: 1, members: members(5) }, 0);
  const other = ringOver({ epoch: 9, members: members(5).toReversed() }, 3);
  expect(other.fingerprint).toBe(one.fingerprint);
  become({ members: [...members(4), member(4, { weight: 50 })] });
  expect(other.fingerprint).not.toBe(one.fingerprint);
  become({ members: members(4), suspected: [member(4)] });
  expect(other.fingerprint).toBe(one.fingerprint);
});

test('shares of the ring follow the weights', () => {
  const heavy = [member(0, { weight: 300 }), member(1), member(2, { weight: 0 })];
  const { shares } = ringOver({ epoch: 1, members: heavy });
  expect(shares.get(toNodeId('node-0'))).toBeGreaterThan(0.7);
  expect(shares.get(toNodeId('node-0'))).toBeLessThan(0.8);
  expect([...shares.values()].reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
  expect(shares.has(toNodeId('node-2'))).toBe(false);
});

test('the ring of a large group is built once for many changes, and who has left is not named meanwhile', async () => {
  const ring = ringOver({ epoch: 1, members: members(300) });
  const before = ring.fingerprint;
  for (let gone = 1; gone <= 20; gone += 1) {
    become({ members: members(300).slice(gone) });
    await clock.advance(10);
    expect(ring.fingerprint).toBe(before);
  }
  const left = new Set(members(20).map(({ nodeId }) => nodeId));
  const named = () => IDS.slice(0, 300).flatMap((id) => ring.owners(id, 2));
  expect(named().filter((node) => left.has(node))).toEqual([]);
  const passedOver = named();
  await clock.advance(500);
  expect(ring.fingerprint).not.toBe(before);
  expect(ring.epoch).toBe(21);
  expect(named()).toEqual(passedOver);
  ring.close();
  expect(clock.timers).toBe(0);
});
