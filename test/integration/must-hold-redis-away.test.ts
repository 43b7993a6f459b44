import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { readAll } from '../servers/readers.ts';
import { sliceBytes } from '../servers/synthetic-bytes.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

/** A request takes 10 s at most, and the kernel makes two when it cannot confirm a name it knows. */
const IN_TIME_MS = 25_000;

let volume: SyntheticVolume;
let cached: SyntheticFile;
let daemon: TestDaemon;
const fresh: SyntheticFile[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  cached = await volume.addFile('cached', 9_000_001);
  for (let index = 0; index < 4; index += 1) {
    fresh.push(await volume.addFile(`fresh/${index}`, 300_000));
  }
  const args = ['--cache-dir', 'memory', '--memory-cache-size', '64'];
  daemon = await startDaemon({ metaUrl: volume.metaUrl, args });
  await readAll(daemon.mountpoint, [cached]);
});

afterAll(async () => {
  volume?.redis.thaw();
  await daemon?.stop();
  await volume?.stop();
});

/** Past the kernel's pages, so that the daemon is asked. */
function openDirect(file: SyntheticFile): Promise<FileHandle> {
  const path = join(daemon.mountpoint, file.path);
  return open(path, constants.O_RDONLY | constants.O_DIRECT);
}

async function expectContent(handle: FileHandle, file: SyntheticFile): Promise<void> {
  const found = Buffer.alloc(file.sizeBytes);
  for (let at = 0; at < found.length; ) {
    at += (await handle.read(found, at, Math.min(2 ** 20, found.length - at), at)).bytesRead;
  }
  const [piece] = file.pieces;
  const expected = sliceBytes(piece?.sliceId ?? 0, 0, file.sizeBytes);
  if (!expected.equals(found)) throw new Error(`${file.path} has wrong bytes`);
}

/** Looks at something new; the error must come in time. */
async function expectErrorInTime(work: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await expect(work()).rejects.toMatchObject({ code: 'EIO' });
  expect(performance.now() - startMs).toBeLessThan(IN_TIME_MS);
}

test.each([
  ['frozen', () => volume.redis.freeze(), async () => volume.redis.thaw()],
  ['gone', () => volume.redis.stop({ save: true }), () => volume.redis.start()],
] as const)('Redis %s: cached data goes on, the rest fails in time', async (name, away, back) => {
  const unseen = fresh.pop() as SyntheticFile;
  const handle = await openDirect(cached);
  try {
    await expectContent(handle, cached);
    await away();
    try {
      await expectContent(handle, cached);
      await Promise.all([
        expectErrorInTime(() => stat(join(daemon.mountpoint, unseen.path))),
        expectErrorInTime(() => readdir(join(daemon.mountpoint, 'fresh'))),
        expectErrorInTime(() => stat(join(daemon.mountpoint, `${name}-and-not-there`))),
      ]);
      await expectContent(handle, cached);
    } finally {
      await back();
    }
    await waitUntil('Redis to be used again', async () => {
      return (await stat(join(daemon.mountpoint, unseen.path))).size === unseen.sizeBytes;
    });
    expect(await readAll(daemon.mountpoint, [unseen, cached])).toMatchObject({
      wrong: [],
      errors: [],
    });
    await expect(stat(join(daemon.mountpoint, 'nothing'))).rejects.toThrow(/ENOENT/);
  } finally {
    await handle.close();
  }
});

test('a short outage is not seen at all', async () => {
  const unseen = fresh.pop() as SyntheticFile;
  volume.redis.freeze();
  const looking = stat(join(daemon.mountpoint, unseen.path));
  setTimeout(() => volume.redis.thaw(), 1500);
  expect((await looking).size).toBe(unseen.sizeBytes);
});

test('the session is there again after the server lost it', async () => {
  await volume.redis.command('DEL', 'allSessions', 'sessionInfos');
  await waitUntil('the session', async () => {
    return (await volume.redis.command('ZCARD', 'allSessions')) === '1';
  });
  expect(await volume.redis.command('HLEN', 'sessionInfos')).toBe('1');
});
