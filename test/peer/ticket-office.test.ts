import { beforeEach, expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { TicketOffice } from '../../src/peer/ticket-office.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { type ManualClock, manualClock } from '../store/manual-clock.ts';

const alice = toNodeId('alice');
const bob = toNodeId('bob');
let clock: ManualClock;
let office: TicketOffice;

beforeEach(() => {
  clock = manualClock();
  office = new TicketOffice(clock, systemRandom);
});

test('a ticket tells whose it is, once', () => {
  const ticket = office.issue(alice);
  expect(ticket.byteLength).toBe(32);
  expect(office.redeem(office.issue(bob))).toBe(bob);
  expect(office.redeem(ticket)).toBe(alice);
  expect(office.redeem(ticket)).toBeUndefined();
});

test('a ticket with one wrong bit anywhere is none, and does not use up the right one', () => {
  const ticket = office.issue(alice);
  for (let bit = 0; bit < 256; bit += 1) {
    const wrong = ticket.slice();
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(office.redeem(wrong)).toBeUndefined();
  }
  expect(office.redeem(ticket.subarray(0, 31))).toBeUndefined();
  expect(office.redeem(ticket)).toBe(alice);
});

test('a ticket expires after 5 s', async () => {
  const early = office.issue(alice);
  const late = office.issue(alice);
  await clock.advance(4999);
  expect(office.redeem(early)).toBe(alice);
  await clock.advance(1);
  expect(office.redeem(late)).toBeUndefined();
});

test('a peer gets a bounded number of tickets, and more when they are used or expired', async () => {
  const tickets = Array.from({ length: 64 }, () => office.issue(alice));
  const busy = expect.objectContaining({ code: 'busy', retryable: true });
  expect(() => office.issue(alice)).toThrow(busy);
  office.issue(bob);
  office.redeem(tickets[0] as Uint8Array);
  office.issue(alice);
  expect(() => office.issue(alice)).toThrow(busy);
  await clock.advance(5000);
  office.issue(alice);
});
