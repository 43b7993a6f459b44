import { expect, test } from 'vitest';
import type { GuardedCall } from '../../../src/meta/call-guard.ts';
import { RedisDirectories } from '../../../src/meta/redis/redis-directory.ts';
import type { RedisLink } from '../../../src/meta/redis/redis-link.ts';
import { RedisKeys } from '../../../src/meta/redis/redis-keys.ts';
import { ROOT_INO } from '../../../src/posix/ino.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';

const signal = new AbortController().signal;

test('a listing that finds nothing asks no further once nobody waits for it', async () => {
  const ending = new AbortController();
  const call: GuardedCall = {
    signal: ending.signal,
    get isOver() {
      return ending.signal.aborted;
    },
    lastError: undefined,
  };
  let scans = 0;
  const client = {
    // As a hash that has shrunk answers, for a long time.
    hscanBuffer: async () => {
      scans += 1;
      if (scans === 3) ending.abort(new Error('the call is over'));
      if (scans > 1_000) throw new Error('it goes on and on');
      return [Buffer.from('7'), []];
    },
  };
  const run = (_name: unknown, _signal: unknown, work: (...rest: unknown[]) => unknown) =>
    work(client, call);
  const link = { run } as unknown as RedisLink;
  const directories = new RedisDirectories(link, new RedisKeys(''), silentLogger);
  const options = { cursor: undefined, withAttrs: true };
  await expect(directories.readdir(ROOT_INO, options, signal)).rejects.toThrow('the call is over');
  expect(scans).toBe(3);
});
