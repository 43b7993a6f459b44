import { expect, it } from 'vitest';
import { IdBatch } from '../../src/meta/id-batch.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const SIGNAL = new AbortController().signal;

function counting(count: number, first = 1n) {
  let next = 1n;
  const asked: number[] = [];
  const batch = new IdBatch({
    ...{ clock: systemClock, count, first },
    take: async (wanted) => {
      asked.push(wanted);
      const start = next;
      next += BigInt(wanted);
      return start;
    },
  });
  return { batch, asked };
}

it('hands out every id once, and asks ahead', async () => {
  const { batch, asked } = counting(20);
  const ids: bigint[] = [];
  for (let n = 0; n < 50; n += 1) ids.push(await batch.take(SIGNAL));
  expect(ids).toEqual(Array.from({ length: 50 }, (_, index) => BigInt(index + 1)));
  expect(asked).toEqual([20, 20, 20]);
});

it('many callers at once share one request', async () => {
  const { batch, asked } = counting(100, 2n);
  const ids = await Promise.all(Array.from({ length: 60 }, () => batch.take(SIGNAL)));
  expect(new Set(ids).size).toBe(60);
  expect(ids.includes(1n)).toBe(false);
  expect(asked).toEqual([100]);
});

it('a caller gives up, the request goes on', async () => {
  const giveUp = new AbortController();
  const answer = Promise.withResolvers<bigint>();
  const batch = new IdBatch({
    ...{ clock: systemClock, count: 10, first: 1n },
    take: () => answer.promise,
  });
  const taking = batch.take(giveUp.signal);
  giveUp.abort(new Error('enough'));
  await expect(taking).rejects.toThrow('enough');
  const other = batch.take(SIGNAL);
  answer.resolve(7n);
  await expect(other).resolves.toBe(7n);
});
