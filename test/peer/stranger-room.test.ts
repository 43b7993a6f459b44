import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StrangerRoom } from '../../src/peer/stranger-room.ts';

/** A room, and who was sent away in which order. */
function roomFor(max: number) {
  const room = new StrangerRoom(max);
  const away: string[] = [];
  const enter = (address: string, name: string) => room.enter(address, () => void away.push(name));
  return { room, away, enter };
}

test('the oldest of the address with most goes, and nobody while there is room', () => {
  const { room, away, enter } = roomFor(4);
  enter('good', 'good 1');
  for (const name of ['bad 1', 'bad 2', 'bad 3']) enter('bad', name);
  expect([away, room.count]).toEqual([[], 4]);
  enter('good', 'good 2');
  expect(away).toEqual(['bad 1']);
  enter('bad', 'bad 4');
  expect(away).toEqual(['bad 1', 'bad 2']);
  expect(room.count).toBe(4);
});

test('who has left is counted no more, and leaving twice is harmless', () => {
  const { room, away, enter } = roomFor(2);
  const leave = enter('a', 'a 1');
  enter('a', 'a 2');
  leave();
  leave();
  expect(room.count).toBe(1);
  enter('b', 'b 1');
  expect(away).toEqual([]);
  // Who was sent away leaves, too, when it learns of it.
  enter('b', 'b 2');
  expect(away).toEqual(['b 1']);
  leave();
  expect(room.count).toBe(2);
});

test('clearing sends each away once', () => {
  const { room, away, enter } = roomFor(10);
  for (const name of ['1', '2', '3']) enter(`from ${name}`, name);
  room.clear();
  room.clear();
  expect([away, room.count]).toEqual([['1', '2', '3'], 0]);
});

/** Who comes from where, and whether somebody leaves before. */
const COMINGS = fc.array(
  fc.record({ address: fc.nat(4), leaver: fc.nat(20), leaves: fc.boolean() }),
  {
    maxLength: 200,
  },
);

test('never more than its size, and who goes is of the address with most', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), COMINGS, (max, comings) => {
      const room = new StrangerRoom(max);
      const inside = new Map<number, number>();
      const leaves: (() => void)[] = [];
      const countOf = (address: number) =>
        [...inside.values()].filter((other) => other === address).length;
      comings.forEach(({ address, leaver, leaves: isLeaving }, index) => {
        if (isLeaving) leaves[leaver]?.();
        if (isLeaving) inside.delete(leaver);
        inside.set(index, address);
        const leave = room.enter(String(address), () => {
          const most = Math.max(...[...inside.values()].map(countOf));
          expect(countOf(inside.get(index) as number)).toBe(most);
          inside.delete(index);
        });
        leaves.push(leave);
        expect(room.count).toBe(inside.size);
        expect(room.count).toBeLessThanOrEqual(max);
      });
    }),
  );
});
