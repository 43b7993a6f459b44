import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OrderFollower } from '../../../src/vfs/ahead/order-follower.ts';
import { seeded } from '../../mesh/mesh-double.ts';

const follow = (places: Iterable<number>) => {
  const follower = new OrderFollower();
  for (const place of places) follower.note(place);
  return follower;
};

describe('an order', () => {
  test('is believed after some steps and hands out what comes next, each place once', () => {
    const follower = follow([5, 6, 7]);
    expect(follower.isFollowed).toBe(false);
    for (let place = 8; place <= 16; place += 1) follower.note(place);
    expect(follower.isFollowed).toBe(true);
    expect([follower.next(), follower.next(), follower.next()]).toEqual([17, 18, 19]);
    follower.note(17);
    expect(follower.next()).toBe(20);
  });

  test('is not in what comes at random', () => {
    const random = seeded(7);
    const follower = follow(Array.from({ length: 2_000 }, () => random.below(50_000)));
    expect(follower.isFollowed).toBe(false);
  });

  test('is given up when nobody keeps to it', () => {
    const follower = follow(Array.from({ length: 50 }, (_, at) => at));
    const random = seeded(7);
    for (let step = 0; step < 20; step += 1) follower.note(1_000 + random.below(50_000));
    expect(follower.isFollowed).toBe(false);
  });

  test('runs ahead of a reader by a bounded number of places', () => {
    const follower = follow(Array.from({ length: 50 }, (_, at) => at));
    let count = 0;
    while (follower.next() !== undefined) count += 1;
    expect(count).toBeLessThanOrEqual(1_025);
    follower.note(50);
    expect(follower.next()).toBeDefined();
  });

  test('several readers in parts of their own, or taking turns with some delay, are followed', () => {
    const parts = Array.from({ length: 400 }, (_, at) => (at % 4) * 10_000 + Math.floor(at / 4));
    expect(follow(parts).isFollowed).toBe(true);
    const random = seeded(3);
    const late = Array.from({ length: 400 }, (_, at) => Math.max(0, at + random.below(6) - 3));
    expect(follow(late).isFollowed).toBe(true);
  });

  test('whatever is visited, places handed out lie ahead of the latest visit and never twice for it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { minLength: 1, maxLength: 100 }), (visits) => {
        const follower = follow(visits);
        const handed: number[] = [];
        for (let draw = 0; draw < 20; draw += 1) handed.push(follower.next() ?? -1);
        expect(new Set(handed).size).toBe(handed.length);
        expect(Math.min(...handed)).toBeGreaterThan(visits.at(-1) ?? 0);
      }),
    );
  });
});
