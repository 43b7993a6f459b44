import { expect, test } from 'vitest';
import type { BlockId } from '../../src/block/block-key.ts';
import { PrefetchQueue } from '../../src/mesh/prefetch-queue.ts';

const id = (name: string) => name as BlockId;

test('runs a bounded number at once, each block once, and drops what does not fit', async () => {
  let dropped = 0;
  const queue = new PrefetchQueue({ workers: 1, queueMax: 1, onDrop: () => void (dropped += 1) });
  const finish: (() => void)[] = [];
  const started: string[] = [];
  const work = (name: string) => () => {
    started.push(name);
    return new Promise<void>((resolve) => void finish.push(resolve));
  };
  expect(queue.add(id('a'), work('a'))).toBe(true);
  expect(queue.add(id('a'), work('a'))).toBe(false);
  expect(queue.add(id('b'), work('b'))).toBe(true);
  expect(queue.add(id('b'), work('b'))).toBe(false);
  expect(queue.add(id('c'), work('c'))).toBe(false);
  expect(dropped).toBe(1);
  expect(started).toEqual(['a']);
  finish[0]?.();
  await expect.poll(() => started).toEqual(['a', 'b']);
  finish[1]?.();
});

test('without workers it does nothing', () => {
  const queue = new PrefetchQueue({ workers: 0, queueMax: 10, onDrop: () => undefined });
  expect(queue.add(id('a'), () => Promise.resolve())).toBe(false);
});
