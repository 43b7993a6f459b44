import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import type { GroupStatus, MemberStatus } from '../../src/daemon/group-report.ts';
import { groupTable } from '../../src/daemon/group-table.ts';
import { type MemberReport, REPORT_NUMBERS } from '../../src/peer/member-report.ts';

const NOTHING = Object.fromEntries(REPORT_NUMBERS.map((name) => [name, 0]));

function member(name: string, report: Partial<MemberReport> | null, more = {}): MemberStatus {
  const hitRatio = { memory: 0.5, disk: 0.25, peer: 0.2, origin: 0.05 };
  const whole = { ...NOTHING, ring: 'r', drainState: 'off', ...report, hitRatio };
  return {
    node: toNodeId(`12D3KooW${name}`),
    self: false,
    state: 'up',
    zone: 'rack-1',
    version: '1.0.0',
    startedAt: '2026-01-01T00:00:00Z',
    addresses: [],
    weight: 100,
    ringShare: 0.25,
    answeredMs: report === null ? null : 1.25,
    error: report === null ? 'no answer within 1000 ms' : null,
    report: report === null ? null : (whole as MemberStatus['report']),
    ...more,
  };
}

function status(timeMs: number, members: readonly MemberStatus[]): GroupStatus {
  const node = toNodeId('12D3KooWaaaaaaaa');
  const view = { group: 'g', node, epoch: 7, ring: 'r', agreed: true };
  return { ...view, time: new Date(timeMs).toISOString(), timeMs, members };
}

const lineOf = (text: string, name: string) =>
  text.split('\n').find((line) => line.includes(name)) ?? '';

test('a member is a line, and one without an answer says why', () => {
  const silent = member('bbbbbbbb', null, { state: 'suspected' });
  const text = groupTable(status(0, [member('aaaaaaaa', { servedBytes: 2048 }), silent]));
  expect(text).toContain('group g: 1 of 2 members up, epoch 7, ring r (all agree)');
  for (const word of ['rack-1', '25.0 %', '2.0 KiB', '50/25/20/5', '1.3 ms']) {
    expect(lineOf(text, 'aaaaaaaa')).toContain(word);
  }
  expect(lineOf(text, 'bbbbbbbb')).toContain('no answer within 1000 ms');
});

test('with an earlier state bytes are per second, and a member that began anew begins at 0', () => {
  const before = status(0, [
    member('aaaaaaaa', { servedBytes: 1_000_000 }),
    member('bbbbbbbb', { servedBytes: 5_000_000 }),
  ]);
  const now = status(2_000, [
    member('aaaaaaaa', { servedBytes: 1_000_000 + 4 * 2 ** 20 }),
    member('bbbbbbbb', { servedBytes: 2 * 2 ** 20 }, { startedAt: '2026-01-01T00:00:01Z' }),
  ]);
  const text = groupTable(now, { before });
  expect(lineOf(text, 'aaaaaaaa')).toContain('2.0 MiB/s');
  expect(lineOf(text, 'bbbbbbbb')).toContain('1.0 MiB/s');
});

test('of many those that serve most are shown, and drains and staged blocks have a line of their own', () => {
  const many = Array.from({ length: 30 }, (_, n) =>
    member(`node${String(n).padStart(4, '0')}`, { servedBytes: n * 1000 }),
  );
  const draining = member('cccccccc', {
    drainState: 'draining',
    drainBytesDone: 1024,
    drainBytesLeft: 2048,
    drainBlocksFailed: 3,
    stagedBlocks: 7,
    stagedBytes: 4096,
  });
  const text = groupTable(status(0, [...many, draining]), { rowsMax: 5 });
  expect(text).toContain('node0029');
  expect(text).not.toContain('node0002');
  expect(text).toContain('and 26 more');
  expect(text).toContain(
    'cccccccc is draining: 1.0 KiB handed over, 2.0 KiB left, 3 blocks without a taker',
  );
  expect(text).toContain('cccccccc has 7 staged blocks (4.0 KiB) to upload');
});
