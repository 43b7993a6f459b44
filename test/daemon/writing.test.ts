import { mkdir, readdir } from 'node:fs/promises';
import { expect, it, onTestFinished } from 'vitest';
import { SessionKeeper } from '../../src/daemon/session-keeper.ts';
import { ShutdownStack } from '../../src/daemon/shutdown-stack.ts';
import { openVolume } from '../../src/daemon/volume.ts';
import { openWriter } from '../../src/daemon/writing.ts';
import { ROOT_CALLER } from '../../src/meta/caller.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { sqliteState } from '../contract/sqlite-state.ts';
import { emptySqliteVolume } from '../servers/empty-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const INFO = { Version: '1.4.1', HostName: 'h', MountPoint: '/m', MountTime: '', ProcessID: 1 };
const CALL = { caller: ROOT_CALLER, signal: new AbortController().signal };

it('what was deleted goes from the object store, and a mount that ends leaves nothing', async () => {
  const empty = await emptySqliteVolume();
  const { bucket } = empty;
  await mkdir(bucket, { recursive: true });
  const shutdown = new ShutdownStack(silentLogger);
  onTestFinished(async () => {
    await shutdown.unwind();
    await empty.stop();
  });
  const context = {
    ...{ env: {}, clock: systemClock, random: systemRandom, logger: silentLogger },
    ...{ metrics: memoryMetrics(), libc: undefined },
  };
  const config = {
    ...{ storage: undefined, bucket: undefined, maxDownloads: 4, maxUploads: 4 },
    ...{ getTimeoutMs: 5000, putTimeoutMs: 5000, ioRetries: 2 },
  };
  const volume = await openVolume(empty.metaUrl, config, context, shutdown);
  const session = new SessionKeeper({
    ...context,
    ...{ sessions: volume.meta, info: () => INFO, heartbeatMs: 50 },
  });
  await session.start();
  shutdown.push('session', () => session.stop());
  const unfit: Error[] = [];
  const onUnfit = (error: Error) => void unfit.push(error);
  const parts = { volume, session, skipDirMtimeMs: 100, onUnfit };
  const { writer } = await openWriter(parts, context, shutdown);
  const objects = async () => {
    const names = await readdir(bucket, { recursive: true });
    return names.filter((name) => name.endsWith('_4096'));
  };
  const makeFile = async (name: string) => {
    const at = { parent: ROOT_INO, name: Buffer.from(name) };
    const file = { mode: 0o644, umask: 0, exclusive: true };
    const { ino } = await writer.create(at, file, CALL);
    const sliceId = await writer.newSliceId(CALL.signal);
    await volume.upload.put(
      { sliceId, index: 0, sizeBytes: 4096 },
      new Uint8Array(4096),
      CALL.signal,
    );
    const record = { pos: 0, sliceId, size: 4096, off: 0, len: 4096 };
    const mtime = { seconds: 1, nanoseconds: 0 };
    await writer.commitSlices(ino, [{ index: 0, record }], mtime, CALL);
    return { at, ino };
  };
  const gone = await makeFile('gone');
  await writer.closed(gone.ino, CALL.signal);
  expect(await objects()).toHaveLength(1);
  await writer.unlink(gone.at, CALL);
  await waitUntil('the object is gone', async () => (await objects()).length === 0);

  const open = await makeFile('open');
  await writer.unlink(open.at, CALL);
  await writer.flock(open.ino, { owner: 1n, type: 'write', wait: false }, CALL.signal);
  const before = sqliteState(empty.database);
  expect([before.sustained.length, before.locks.length]).toEqual([1, 1]);
  await shutdown.unwind();
  const after = sqliteState(empty.database);
  expect([after.sustained, after.locks, after.usedSpace]).toEqual([[], [], 0n]);
  expect(after.deleted.get(open.ino)).toBe(4096n);
  expect(unfit).toEqual([]);
});
