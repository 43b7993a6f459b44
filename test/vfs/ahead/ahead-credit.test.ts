import { describe, expect, test } from 'vitest';
import { AheadCredit } from '../../../src/vfs/ahead/ahead-credit.ts';

const MIB = 1024 * 1024;

describe('how much may be brought ahead', () => {
  test('a little at first, then a multiple of what is read', () => {
    const credit = new AheadCredit(512 * MIB);
    expect(credit.availableBytes).toBe(4 * MIB);
    credit.take(4 * MIB);
    expect(credit.availableBytes).toBe(0);
    credit.demand(MIB);
    expect(credit.availableBytes).toBe(8 * MIB);
  });

  test('never more that is unread than the budget', () => {
    const credit = new AheadCredit(64 * MIB);
    credit.demand(100 * MIB);
    credit.take(64 * MIB);
    credit.demand(100 * MIB);
    expect(credit.availableBytes).toBe(0);
    expect(credit.unreadBytes).toBe(64 * MIB);
    credit.settle('used', 10 * MIB);
    expect(credit.availableBytes).toBe(10 * MIB);
  });

  test('what is wasted makes it hold back, what is used again brings it back', () => {
    const credit = new AheadCredit(512 * MIB);
    const gain = () => {
      credit.take(credit.availableBytes);
      credit.demand(MIB);
      const { availableBytes } = credit;
      credit.settle('wasted', credit.unreadBytes);
      return availableBytes / MIB;
    };
    expect(gain()).toBe(8);
    credit.settle('wasted', 200 * MIB);
    expect(credit.usefulShare).toBeLessThan(0.25);
    expect(gain()).toBeLessThan(1);
    for (let round = 0; round < 10; round += 1) credit.settle('used', 100 * MIB);
    expect(credit.usefulShare).toBeGreaterThan(0.5);
  });

  test('no budget, no credit', () => {
    const credit = new AheadCredit(0);
    credit.demand(MIB);
    expect(credit.availableBytes).toBe(0);
  });
});
