import { describe, expect, test } from 'vitest';
import { toIno } from '../../src/posix/ino.ts';
import { ToldAttrs } from '../../src/vfs/told-attrs.ts';
import { attrOf } from './fake-meta.ts';
import { ManualClock } from './manual-clock.ts';

const INO = toIno(7n);
const OLD = attrOf({ length: 1n });
const NEW = attrOf({ length: 2n });

function setUp(max = 10) {
  const clock = new ManualClock();
  return { clock, told: new ToldAttrs({ clock, timeoutMs: 60_000, max }) };
}

describe('what the kernel may believe', () => {
  test('is what it was told, until its time-out', () => {
    const { clock, told } = setUp();
    expect(told.mayDiffer(INO, NEW)).toBe(false);
    told.note(INO, OLD);
    expect(told.mayDiffer(INO, OLD)).toBe(false);
    expect(told.mayDiffer(INO, NEW)).toBe(true);
    clock.advance(61_001);
    expect(told.mayDiffer(INO, NEW)).toBe(false);
  });

  test('is still the older one when a reply with a newer one may have been lost', () => {
    const { told } = setUp();
    told.note(INO, OLD);
    told.note(INO, NEW);
    expect(told.mayDiffer(INO, NEW)).toBe(true);
    told.forget(INO);
    told.note(INO, NEW);
    expect(told.mayDiffer(INO, NEW)).toBe(false);
  });

  test('is anything when more inodes were told of than are remembered', () => {
    const { told } = setUp(1);
    told.note(INO, OLD);
    told.note(toIno(8n), OLD);
    expect(told.mayDiffer(INO, OLD)).toBe(true);
  });
});
