import { expect, test } from 'vitest';
import type { FuseContext } from '../../../src/fuse/operations.ts';
import type { MetaWriter } from '../../../src/meta/writer.ts';
import { type Ino, toIno } from '../../../src/posix/ino.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { FileLocks } from '../../../src/vfs/write/file-locks.ts';
import type { WriteParts } from '../../../src/vfs/write/write-parts.ts';
import { manualClock } from '../../store/manual-clock.ts';

const INO = toIno(7n);
const RANGE = { type: 'write', start: 0n, end: 9n, pid: 1, owner: 5n } as const;

/** Locks over a volume that notes what is done, in its order. */
function setUp() {
  const done: string[] = [];
  const committing = Promise.withResolvers<void>();
  const note =
    (what: string) => async (_: Ino, lock: { type?: string; range?: { type: string } }) => {
      done.push(`${what} ${lock.type ?? lock.range?.type}`);
    };
  const writer: Partial<MetaWriter> = { flock: note('flock'), setRangeLock: note('range') };
  const parts = {
    clock: manualClock(),
    writer,
    writers: {
      flush: async () => {
        await committing.promise;
        done.push('commit');
      },
    },
    nodes: { refresh: async () => void done.push('look') },
    root: { toVolume: (ino: Ino) => ino, toKernel: (ino: Ino) => ino },
  } as unknown as WriteParts;
  return { locks: new FileLocks(parts, silentLogger), done, committing };
}

const caller = (signal = new AbortController().signal): FuseContext => ({
  ...{ uid: 0, gid: 0, pid: 1, signal },
});

test('a lock that close(2) gives back goes after what was written under it, by whichever descriptor', async () => {
  const { locks, done, committing } = setUp();
  await locks.setlk(caller(), INO, RANGE, { wait: false });
  const closing = locks.closed(caller(), INO, RANGE.owner);
  committing.resolve();
  await closing;
  expect(done).toEqual(['range write', 'look', 'commit', 'range unlock']);
});

test('a close(2) that is interrupted leaves no lock behind', async () => {
  const { locks, done, committing } = setUp();
  await locks.setlk(caller(), INO, RANGE, { wait: false });
  const interrupt = new AbortController();
  const closing = locks.closed(caller(interrupt.signal), INO, RANGE.owner);
  interrupt.abort(new Error('interrupted'));
  await expect(closing).rejects.toThrow('interrupted');
  expect(done).toEqual(['range write', 'look']);
  committing.resolve();
  await expect.poll(() => done.at(-1)).toBe('range unlock');
});

test('a flock that goes with its descriptor goes after what was written under it', async () => {
  const { locks, done, committing } = setUp();
  locks.releaseFlock(INO, 5n);
  committing.resolve();
  await expect.poll(() => done).toEqual(['commit', 'flock unlock']);
});

test('a signal that comes when the lock was just got does not say that it was not', async () => {
  const { locks, done } = setUp();
  const aborted = AbortSignal.abort(new Error('interrupted'));
  await locks.flock(caller(aborted), { ino: INO, owner: 5n }, 'write', { wait: true });
  expect(done).toEqual(['flock write', 'look']);
});
