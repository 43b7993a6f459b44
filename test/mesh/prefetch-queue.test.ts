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
  const done: string[] = [];
  const add = (name: string) => queue.add(id(name), work(name), () => void done.push(name));
  add('a');
  add('a');
  add('b');
  add('b');
  add('c');
  expect(dropped).toBe(1);
  expect(done).toEqual(['c']);
  expect(started).toEqual(['a']);
  finish[0]?.();
  await expect.poll(() => started).toEqual(['a', 'b']);
  expect(done).toEqual(['c', 'a', 'a']);
  queue.clear();
  finish[1]?.();
  await expect.poll(() => done).toEqual(['c', 'a', 'a', 'b', 'b']);
});

test('what is cleared was never begun, and its listeners are told', () => {
  const queue = new PrefetchQueue({ workers: 1, queueMax: 10, onDrop: () => undefined });
  const started: string[] = [];
  let told = 0;
  const work = (name: string) => () => {
    started.push(name);
    return new Promise<void>(() => undefined);
  };
  queue.add(id('a'), work('a'));
  queue.add(id('b'), work('b'), () => void (told += 1));
  queue.clear();
  expect(started).toEqual(['a']);
  expect(told).toBe(1);
});

test('without workers it drops everything', () => {
  let told = 0;
  const queue = new PrefetchQueue({ workers: 0, queueMax: 10, onDrop: () => undefined });
  queue.add(
    id('a'),
    () => Promise.reject(new Error('ran')),
    () => void (told += 1),
  );
  expect(told).toBe(1);
});
