import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { DiskIo } from '../../src/store/disk-io.ts';
import { systemFileCalls } from '../../src/store/file-calls.ts';
import { manualClock } from './manual-clock.ts';

test('a file that is opened too late is closed, however badly that goes', async () => {
  const opened = Promise.withResolvers<number>();
  const closed: number[] = [];
  const clock = manualClock();
  const calls = {
    ...systemFileCalls,
    open: () => opened.promise,
    close: async (fd: number) => {
      closed.push(fd);
      throw Object.assign(new Error('the disk is broken'), { code: 'EIO' });
    },
  };
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const opening = new DiskIo(calls, clock, 1000).openFile('/cache/block', { flags: 'r' });
  const failure = opening.catch((error: unknown) => error);
  await clock.advance(1000);
  expect(await failure).toMatchObject({ code: 'deadline' });
  opened.resolve(7);
  await turn();
  await turn();
  expect(closed).toEqual([7]);
  expect(unhandled).toEqual([]);
});
