import { expect, it } from 'vitest';
import { TurnTaker } from '../../src/meta/turn-taker.ts';

const SIGNAL = new AbortController().signal;

it('what has a key in common runs one after the other, the rest at once', async () => {
  const turns = new TurnTaker();
  const log: string[] = [];
  const gates = new Map<string, () => void>();
  const run = (name: string, keys: bigint[]) =>
    turns.run(keys, SIGNAL, async () => {
      log.push(`+${name}`);
      await new Promise<void>((resolve) => void gates.set(name, resolve));
      log.push(`-${name}`);
    });
  const all = [run('a', [1n]), run('b', [2n, 1n]), run('c', [2n]), run('d', [3n, 3n])];
  const end = async (name: string) => {
    gates.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  await new Promise((resolve) => setImmediate(resolve));
  expect(log).toEqual(['+a', '+d']);
  await end('a');
  await end('b');
  await end('c');
  await end('d');
  await Promise.all(all);
  expect(log).toEqual(['+a', '+d', '-a', '+b', '-b', '+c', '-c', '-d']);
});

it('who gives up waiting lets the next one in', async () => {
  const turns = new TurnTaker();
  const first = Promise.withResolvers<void>();
  const giveUp = new AbortController();
  const a = turns.run([1n], SIGNAL, () => first.promise);
  const b = turns.run([1n, 2n], giveUp.signal, async () => 'b');
  const c = turns.run([2n], SIGNAL, async () => 'c');
  giveUp.abort(new Error('enough'));
  await expect(b).rejects.toThrow('enough');
  await expect(c).resolves.toBe('c');
  first.resolve();
  await a;
});

it('a failure ends the turn', async () => {
  const turns = new TurnTaker();
  const failed = turns.run([1n], SIGNAL, async () => Promise.reject(new Error('no')));
  await expect(failed).rejects.toThrow('no');
  await expect(turns.run([1n], SIGNAL, async () => 'next')).resolves.toBe('next');
});
