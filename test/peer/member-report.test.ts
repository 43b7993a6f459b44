import { expect, test } from 'vitest';
import { packRecord, unpackRecord } from '../../src/peer/checked-msgpack.ts';
import {
  encodeReport,
  type MemberReport,
  parseReport,
  REPORT_NUMBERS,
} from '../../src/peer/member-report.ts';

const numbers = Object.fromEntries(REPORT_NUMBERS.map((name, at) => [name, at * 1.5 * 2 ** 33]));
const REPORT = { ...numbers, ring: '0badcafe', drainState: 'draining' } as MemberReport;

test('a report is read as it was written', () => {
  expect(parseReport(unpackRecord(packRecord(encodeReport(REPORT))))).toEqual(REPORT);
});

test('what a member of another release does not say is 0, and what it says more is ignored', () => {
  const read = parseReport({ report: { servedBytes: 7, newest: 'thing' } });
  expect(read).toMatchObject({ servedBytes: 7, epoch: 0, ring: '', drainState: 'off' });
  expect(Object.keys(read).toSorted()).toEqual(Object.keys(REPORT).toSorted());
});

test.each([
  ['no report', {}],
  ['a list', { report: 7 }],
  ['a negative number', { report: { servedBytes: -1 } }],
  ['no number', { report: { servedBytes: Number.NaN } }],
  ['an infinite one', { report: { servedBytes: Number.POSITIVE_INFINITY } }],
  ['text for a number', { report: { servedBytes: '7' } }],
  ['a long name of a ring', { report: { ring: 'x'.repeat(33) } }],
  ['an unknown state', { report: { drainState: 'fast' } }],
])('%s is refused', (_, message) => {
  expect(() => parseReport(message)).toThrow(/a report with wrong fields/);
});
