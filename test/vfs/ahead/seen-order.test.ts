import { describe, expect, test } from 'vitest';
import { toIno } from '../../../src/posix/ino.ts';
import { SeenOrder } from '../../../src/vfs/ahead/seen-order.ts';
import { seeded } from '../../mesh/mesh-double.ts';

const shuffledInos = (count: number, seed: number) => {
  const random = seeded(seed);
  const left = Array.from({ length: count }, (_, at) => toIno(BigInt(at + 2)));
  return [...left].map(() => left.splice(random.below(left.length), 1)[0] ?? toIno(0n));
};

describe('the order of an earlier time', () => {
  test('is recognised and goes on as it went', () => {
    const order = shuffledInos(1_000, 1);
    const seen = new SeenOrder();
    for (const ino of order) seen.note(ino);
    expect(seen.next()).toBeUndefined();
    for (const ino of order.slice(0, 20)) seen.note(ino);
    expect(Array.from({ length: 30 }, () => seen.next())).toEqual(order.slice(20, 50));
  });

  test('is not seen in another one', () => {
    const seen = new SeenOrder();
    for (const ino of shuffledInos(1_000, 1)) seen.note(ino);
    for (const ino of shuffledInos(1_000, 2)) seen.note(ino);
    expect(seen.isFollowed).toBe(false);
  });

  test('is forgotten beyond the last 65,536 opens', () => {
    const seen = new SeenOrder();
    const first = shuffledInos(100, 1);
    for (const ino of first) seen.note(ino);
    for (let at = 0; at < 70_000; at += 1) seen.note(toIno(BigInt(10_000 + at)));
    for (const ino of first) seen.note(ino);
    expect(seen.isFollowed).toBe(false);
  });
});
