import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toNodeId } from '../../../src/block/node-id.ts';
import { packRecord, unpackRecord } from '../../../src/peer/checked-msgpack.ts';
import { encodeGossip, parseGossip, RecordRoom } from '../../../src/peer/gossip/gossip-message.ts';
import { MEMBER_STATES, type MemberRecord } from '../../../src/peer/gossip/member-record.ts';
import { BUCKETS, MemberTable } from '../../../src/peer/gossip/member-table.ts';
import { Rumours } from '../../../src/peer/gossip/rumours.ts';

const label = fc.option(fc.string({ maxLength: 20 }), { nil: undefined });
const record: fc.Arbitrary<MemberRecord> = fc.record({
  member: fc.record({
    nodeId: fc.constantFrom('a', 'b', 'c', 'd').map(toNodeId),
    addresses: fc.subarray(['/ip4/10.0.0.1/tcp/1', '/dns4/host/tcp/2']),
    weight: fc.nat(3),
    zone: label,
    version: label,
    startedAtMs: fc.option(fc.nat(), { nil: undefined }),
  }),
  incarnation: fc.nat(3),
  state: fc.constantFrom(...MEMBER_STATES),
});

function tableOf(records: readonly MemberRecord[]): MemberTable {
  const table = new MemberTable();
  for (const each of records) table.apply(each);
  return table;
}

function textOf(table: MemberTable): string {
  const all = [...table.records()].sort((a, b) => (a.member.nodeId < b.member.nodeId ? -1 : 1));
  return JSON.stringify(all);
}

test('who has heard the same in any order, however often, knows the same', () => {
  const orders = fc.array(record, { maxLength: 12 }).chain((records) =>
    fc.record({
      records: fc.constant(records),
      again: fc.shuffledSubarray([...records, ...records], { minLength: 2 * records.length }),
    }),
  );
  fc.assert(
    fc.property(orders, ({ records, again }) => {
      const [one, other] = [tableOf(records), tableOf(again)];
      expect(textOf(one)).toBe(textOf(other));
      expect(one.hash).toEqual(other.hash);
      expect(one.bucketHashes).toEqual(other.bucketHashes);
    }),
  );
});

test('tables with the same hash have the same members, and buckets tell where they differ', () => {
  const list = fc.array(record, { maxLength: 8 });
  fc.assert(
    fc.property(list, list, (left, right) => {
      const [one, other] = [tableOf(left), tableOf(right)];
      const present = (table: MemberTable) => textOf(tableOf(table.present()));
      const isSame = one.hash.low === other.hash.low && one.hash.high === other.hash.high;
      expect(isSame).toBe(present(one) === present(other));
      const differing = one.differing(other.bucketHashes);
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        const [here, there] = [one.inBucket(bucket), other.inBucket(bucket)];
        const isSameBucket = textOf(tableOf(here)) === textOf(tableOf(there));
        expect(differing.includes(bucket)).toBe(!isSameBucket);
      }
    }),
  );
});

test('a message is read as it was written', () => {
  const message = fc.record({
    self: record,
    records: fc.array(record, { maxLength: 5 }),
    hash: fc.record({ low: fc.nat(2 ** 32 - 1), high: fc.nat(2 ** 32 - 1) }),
    epoch: fc.nat(),
    wants: fc.option(fc.constant(Uint32Array.from({ length: BUCKETS }, (_, n) => n * 77_777_777))),
    covers: fc.uniqueArray(fc.nat(BUCKETS - 1)),
  });
  fc.assert(
    fc.property(message, (sent) => {
      const whole = { ...sent, wants: sent.wants ?? undefined };
      expect(parseGossip(unpackRecord(packRecord(encodeGossip(whole))))).toEqual(whole);
    }),
  );
});

test('what a message has room for fits into a header of 64 KiB', () => {
  const large: MemberRecord = {
    member: {
      nodeId: toNodeId('n'.repeat(52)),
      addresses: Array.from({ length: 8 }, (_, n) => `/dns4/${'h'.repeat(200)}${n}/tcp/65535`),
      weight: 0.1,
      zone: 'ü'.repeat(64),
      version: '1'.repeat(64),
      startedAtMs: 1_700_000_000_000,
    },
    incarnation: 1_700_000_000_000,
    state: 'suspect',
  };
  const room = new RecordRoom();
  expect(room.add(Array.from({ length: 1000 }, () => large))).toBe(false);
  const records = room.records;
  expect(records.length).toBeGreaterThan(10);
  const rest = { hash: { low: 1, high: 1 }, epoch: 1, wants: new Uint32Array(BUCKETS), covers: [] };
  const bytes = packRecord(encodeGossip({ self: large, records, ...rest }));
  expect(bytes.byteLength).toBeLessThan(63 * 1024);
});

test('news is told often enough, fresh news first, and then no more', () => {
  const rumours = new Rumours();
  const about = (name: string): MemberRecord => ({
    member: { nodeId: toNodeId(name), addresses: [], weight: 1 },
    incarnation: 1,
    state: 'alive',
  });
  const names = (records: readonly MemberRecord[]) =>
    records.map(({ member }) => member.nodeId).join('');
  for (const name of 'abc') rumours.add(about(name));
  expect(names(rumours.take(2, 7))).toBe('ab');
  rumours.add(about('d'));
  expect(names(rumours.take(2, 7))).toBe('cd');
  expect(names(rumours.take(2, 7))).toBe('ab');
  let told = 0;
  while (rumours.size > 0) told += rumours.take(2, 7).length;
  // 3 + 1.5 × log2(8), rounded up, for each of four.
  expect(told + 6).toBe(4 * 8);
});
