import { closeSync, openSync, readSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runCli, runToEnd } from '../servers/cli.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { detach, isMounted } from '../servers/mounted.ts';
import { readAll } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';

/** What the kernel remembers for long must not make a dead mount look alive. */
const OPTIONS = ['--memory-cache-size', '64', '--attr-cache', '60'];

let volume: SyntheticVolume;
let file: SyntheticFile;
let unread: SyntheticFile;
let daemon: TestDaemon;

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  file = await volume.addFile('file', 5_000_000);
  unread = await volume.addFile('unread', 5_000_000);
});

beforeEach(async () => {
  // Daemons that were killed leave theirs.
  await volume.redis.command('DEL', 'allSessions', 'sessionInfos');
  daemon = await startDaemon({ metaUrl: volume.metaUrl, args: OPTIONS });
  await readAll(daemon.mountpoint, [file]);
});

afterEach(async () => {
  await daemon.process.stop('SIGKILL');
  await detach(daemon.mountpoint);
});

afterAll(() => volume?.stop());

async function sessions(): Promise<number> {
  return Number(await volume.redis.command('ZCARD', 'allSessions'));
}

/** The daemon ends by itself with this status; nothing of it stays. */
async function expectOrderlyEnd(status: number = 0): Promise<void> {
  await waitUntil('the daemon to end', () => daemon.process.ended() !== undefined, 25_000);
  expect(daemon.process.ended()).toBe(status);
  expect(await isMounted(daemon.mountpoint)).toBe(false);
  expect(await sessions()).toBe(0);
  expect(await volume.redis.command('HLEN', 'sessionInfos')).toBe('0');
  expect(await daemon.log()).not.toMatch(/could not stop cleanly|takes too long|bug/);
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s', async (signal) => {
  expect(await sessions()).toBe(1);
  process.kill(daemon.process.pid, signal);
  await expectOrderlyEnd();
});

test.each([
  ['umount', ['umount']],
  ['umount -l', ['umount', '-l']],
] as const)('%s of an idle mount', async (_, [program, ...options]) => {
  const { status, stderr } = await runToEnd([program, ...options, daemon.mountpoint]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  await expectOrderlyEnd();
});

test('umount is refused while a file is open, umount -l is not', async () => {
  const fd = openSync(join(daemon.mountpoint, file.path), 'r');
  try {
    expect((await runToEnd(['umount', daemon.mountpoint])).status).not.toBe(0);
    const refused = await runCli(['umount', daemon.mountpoint]);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toMatch(/busy/);
    expect((await runToEnd(['umount', '-l', daemon.mountpoint])).status).toBe(0);
    // The file goes on working until it is closed.
    expect(readSync(fd, Buffer.alloc(4096), 0, 4096, 8192)).toBe(4096);
  } finally {
    closeSync(fd);
  }
  await expectOrderlyEnd();
});

test('cachemesh umount', async () => {
  const { status, stderr } = await runCli(['umount', daemon.mountpoint]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  await expectOrderlyEnd();
  const again = await runCli(['umount', daemon.mountpoint]);
  expect(again.status).not.toBe(0);
  expect(again.stderr).toMatch(/no cachemesh volume is mounted/);
});

test('cachemesh umount --force while a file is open', async () => {
  const fd = openSync(join(daemon.mountpoint, file.path), 'r');
  try {
    expect((await runCli(['umount', '--force', daemon.mountpoint])).status).toBe(0);
  } finally {
    closeSync(fd);
  }
  await expectOrderlyEnd();
});

test('SIGTERM while a file is open ends all the same', async () => {
  const fd = openSync(join(daemon.mountpoint, unread.path), 'r');
  try {
    process.kill(daemon.process.pid, 'SIGTERM');
    await expectOrderlyEnd();
    expect(() => readSync(fd, Buffer.alloc(4096), 0, 4096, 0)).toThrow(/ENOTCONN|EIO/);
  } finally {
    closeSync(fd);
  }
});

test('the mountpoint of a daemon that was killed is used again', async () => {
  await stat(daemon.mountpoint);
  await daemon.process.stop('SIGKILL');
  await expect(readFile(join(daemon.mountpoint, file.path))).rejects.toThrow(/ENOTCONN/);
  const dir = join(daemon.mountpoint, '..');
  const next = await startDaemon({ metaUrl: volume.metaUrl, dir, args: OPTIONS });
  try {
    expect(await readAll(next.mountpoint, [file])).toMatchObject({ wrong: [], errors: [] });
    const { stdout } = await runToEnd(['grep', '-c', next.mountpoint, '/proc/self/mountinfo']);
    expect(stdout.trim()).toBe('1');
  } finally {
    await next.stop();
  }
  expect(await isMounted(daemon.mountpoint)).toBe(false);
});

test('a second mount at the same place is refused and leaves the first one alone', async () => {
  const { status, stderr } = await runCli(['mount', volume.metaUrl, daemon.mountpoint]);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/is a mountpoint of cachemesh:synthetic/);
  expect(await readAll(daemon.mountpoint, [file])).toMatchObject({ wrong: [], errors: [] });
  expect(await sessions()).toBe(1);
});

test('-d returns when the volume is mounted', async () => {
  const dir = await makeTempDir('background');
  const mountpoint = join(dir, 'mnt');
  const files = ['--log', join(dir, 'log'), '--cache-dir', join(dir, 'cache')];
  const words = ['mount', volume.metaUrl, mountpoint, '-d', '--metrics', 'none', ...files];
  const { status, stdout, stderr } = await runCli([...words, ...OPTIONS]);
  try {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(mountpoint);
    expect(await isMounted(mountpoint)).toBe(true);
    expect(await readAll(mountpoint, [file])).toMatchObject({ wrong: [], errors: [] });
    const pid = Number(/pid (\d+)/.exec(stdout)?.[1]);
    expect((await runCli(['umount', mountpoint])).status).toBe(0);
    await waitUntil('the daemon in the background to end', () => !isRunning(pid));
    expect(await sessions()).toBe(1);
  } finally {
    await detach(mountpoint);
  }
});

test('-d says why it failed', async () => {
  const dir = await makeTempDir('background');
  const files = ['--log', join(dir, 'log'), '--cache-dir', join(dir, 'cache')];
  const words = ['mount', volume.metaUrl, join(dir, 'mnt'), '-d', '--subdir', 'nowhere'];
  const { status, stderr } = await runCli([...words, '--metrics', 'none', ...files]);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/^cachemesh: .*nowhere/);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
