import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { readAll } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const FILES = 40;
/** Questions that one connection carries at most. */
const ASKED_MAX = 256;

let volume: SyntheticVolume;
let daemon: TestDaemon;
const files: SyntheticFile[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  for (let index = 0; index < FILES; index += 1) {
    files.push(await volume.addFile(`dir/${index}`, 1000 + index * 777));
  }
  // Nothing is remembered by the kernel, so that each call asks the metadata.
  const noCaches = ['--attr-cache', '0', '--entry-cache', '0', '--dir-entry-cache', '0'];
  const args = ['--cache-dir', 'memory', '--memory-cache-size', '64', ...noCaches];
  daemon = await startDaemon({ metaUrl: volume.metaUrl, args });
  await readAll(daemon.mountpoint, files);
});

afterAll(async () => {
  await daemon?.stop();
  await volume?.stop();
});

async function round(): Promise<void> {
  const found = await Promise.all(files.map(({ path }) => stat(join(daemon.mountpoint, path))));
  expect(found.map(({ size }) => size)).toEqual(files.map(({ sizeBytes }) => sizeBytes));
  await readAll(daemon.mountpoint, files);
  const missing = stat(join(daemon.mountpoint, 'dir/not-there'));
  await expect(missing).rejects.toMatchObject({ code: 'ENOENT' });
}

const opened = () =>
  daemon.metric('juicefs_fuse_ops_durations_histogram_seconds_count', 'method="open"');

/** Until what has been handled is counted: the shortcut's part is published four times a second. */
const untilOpened = (count: number) =>
  waitUntil(`${count} opens`, async () => (await opened()) === count);

test('opens and look-ups are answered without the main thread, and counted', async () => {
  await round();
  // The one before this and that of `beforeAll`.
  await untilOpened(2 * FILES);
  const returnedBefore = await daemon.metric('juicefs_meta_shortcut_returned');
  for (let count = 0; count < 5; count += 1) await round();
  await untilOpened(7 * FILES);
  // Only what the main thread had to confirm came back.
  // A server that says nothing for 250 ms on a busy machine costs a connection and what it carries.
  const silent = await daemon.metric('juicefs_meta_shortcut_lost', 'reason="silent"');
  const returned = (await daemon.metric('juicefs_meta_shortcut_returned')) - returnedBefore;
  expect(returned).toBeLessThan(20 + silent * ASKED_MAX);
  expect(await daemon.metric('juicefs_meta_shortcut_lost')).toBe(silent);
});

test('connections that the server cuts off again and again are not noticed', async () => {
  let done = false;
  const killing = (async () => {
    while (!done) await volume.redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  })();
  try {
    const lost = () => daemon.metric('juicefs_meta_shortcut_lost');
    for (let count = 0; count < 6 || (await lost()) === 0; count += 1) await round();
  } finally {
    done = true;
    await killing;
  }
  expect(await daemon.metric('juicefs_meta_shortcut_lost')).toBeGreaterThan(0);
  await round();
});

test('a server that forgets its scripts is told them again', async () => {
  for (let count = 0; count < 2; count += 1) {
    expect(await volume.redis.command('SCRIPT', 'FLUSH')).toBe('OK');
    await round();
  }
});

test('many handles at once, more than are at hand', async () => {
  const [first] = files as [SyntheticFile];
  const path = join(daemon.mountpoint, first.path);
  const handles = await Promise.all(Array.from({ length: 3000 }, () => open(path)));
  const sizes = await Promise.all(handles.map(async (handle) => (await handle.read()).bytesRead));
  expect(new Set(sizes)).toEqual(new Set([first.sizeBytes]));
  await Promise.all(handles.map((handle) => handle.close()));
  expect(await readdir(join(daemon.mountpoint, 'dir'))).toHaveLength(FILES);
});
