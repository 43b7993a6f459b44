import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileIdOf } from '../../src/fuse/operations.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { type LoadedFixture, loadFixture } from '../servers/fixtures.ts';
import { makeTempDir } from '../servers/temp.ts';
import { type OpenedVolume, openVfs, rootContext } from './vfs-volume.ts';

const run = promisify(execFile);
/** The original client, when it is on the PATH and can mount. */
const canMount = spawnSync('juicefs', ['version']).status === 0;
const MIB = 1024 * 1024;

/** Lines that tell where they belong. */
function content(size: number, name: string): Buffer {
  const bytes = Buffer.alloc(size, `${name} ${'.'.repeat(56 - name.length)}\n`);
  for (let at = 0; at + 16 <= size; at += 4096) bytes.write(`@${at} `.padEnd(16), at);
  return bytes;
}

describe.skipIf(!canMount)('a volume that the original client changes meanwhile', () => {
  let fixture: LoadedFixture;
  let mountpoint: string;
  let client: ChildProcess;
  let volume: OpenedVolume;

  beforeAll(async () => {
    fixture = await loadFixture('plain');
    mountpoint = join(await makeTempDir('live'), 'mnt');
    await mkdir(mountpoint);
    const cache = await makeTempDir('live-cache');
    client = spawn(
      'juicefs',
      [
        'mount',
        fixture.metaUrl,
        mountpoint,
        '--bucket',
        fixture.bucket,
        '--cache-dir',
        cache,
      ].concat(['--no-usage-report', '--no-bgjob', '--no-syslog', '--backup-meta', '0']),
      { stdio: 'ignore', env: { ...process.env, JFS_NO_UPDATE_CHECK: '1' } },
    );
    for (let tries = 0; tries < 600; tries += 1) {
      if ((await stat(mountpoint).catch(() => undefined))?.ino === 1) break;
      await sleep(100);
    }
    await mkdir(join(mountpoint, 'live'));
    volume = await openVfs(fixture);
  });

  afterAll(async () => {
    await volume?.close();
    await run('umount', ['-l', mountpoint]).catch(() => undefined);
    if (client?.exitCode === null) {
      const ended = new Promise((resolve) => client.once('exit', resolve));
      client.kill('SIGTERM');
      await Promise.race([ended, sleep(10_000)]);
      if (client.exitCode === null) client.kill('SIGKILL');
    }
    await fixture?.stop();
  });

  async function inoOf(name: string): Promise<Ino> {
    let ino: Ino = ROOT_INO;
    for (const part of ['live', name]) {
      const entry = await volume.vfs.lookup(rootContext(), ino, Buffer.from(part));
      if (entry.ino === undefined) throw new Error(`${name} is not there`);
      ino = entry.ino;
    }
    return ino;
  }

  async function readAll(ino: Ino, fh: bigint): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let offset = 0; ; offset += 256 * 1024) {
      const range = { offset, length: 256 * 1024 };
      const reply = await volume.vfs.read(rootContext(), ino, fh, range);
      const bytes = Buffer.concat(reply.parts);
      reply.release();
      if (bytes.byteLength === 0) return Buffer.concat(parts);
      parts.push(bytes);
    }
  }

  /** Opens, reads all, closes. */
  async function readName(
    name: string,
  ): Promise<{ bytes: Buffer; keepCache: boolean; id: number }> {
    const ino = await inoOf(name);
    const { fh, keepCache } = await volume.vfs.open(rootContext(), ino, 0);
    const bytes = await readAll(ino, fh);
    volume.vfs.release(fh);
    return { bytes, keepCache, id: fileIdOf(fh) };
  }

  test('an open after a close sees what was written, shorter, longer or as long as before', async () => {
    const path = join(mountpoint, 'live/versions');
    const ids = new Set<number>();
    for (const size of [9 * MIB, 9 * MIB, 5000, 0, 4 * MIB + 1]) {
      const bytes = content(size, `v${ids.size}`);
      await writeFile(path, bytes);
      const first = await readName('versions');
      expect(Buffer.compare(first.bytes, bytes)).toBe(0);
      const again = await readName('versions');
      expect([first.keepCache, again.keepCache, again.id]).toEqual([false, true, first.id]);
      ids.add(first.id);
    }
    expect(ids.size).toBe(5);
    await truncate(path, 100);
    expect((await readName('versions')).bytes.byteLength).toBe(100);
  });

  test('a handle reads on after its blocks were compacted away', async () => {
    const path = join(mountpoint, 'live/compacted');
    const size = 6 * MIB;
    const bytes = content(size, 'base');
    await writeFile(path, bytes);
    const file = await open(path, 'r+');
    for (let write = 0; write < 20; write += 1) {
      const part = content(100_000, `w${write}`);
      const at = write * 300_000 + 77;
      await file.write(part, 0, part.length, at);
      await file.sync();
      part.copy(bytes, at);
    }
    await file.close();
    const ino = await inoOf('compacted');
    const { fh } = await volume.vfs.open(rootContext(), ino, 0);
    // The plan is cached from here on, the blocks are not.
    const first = await volume.vfs.read(rootContext(), ino, fh, { offset: 5, length: 10 });
    first.release();
    const objects = await run('find', [fixture.dir, '-path', '*chunks*', '-type', 'f']);
    await run('juicefs', ['compact', path]);
    for (let tries = 0; tries < 600; tries += 1) {
      const now = await run('find', [fixture.dir, '-path', '*chunks*', '-type', 'f']);
      if (now.stdout.length < objects.stdout.length) break;
      await sleep(100);
    }
    expect(Buffer.compare(await readAll(ino, fh), bytes)).toBe(0);
    expect(volume.metrics.value('vfs_read_retries')).toBeGreaterThan(0);
    volume.vfs.release(fh);
  });

  test('a handle of a file that grows follows the attribute', async () => {
    const path = join(mountpoint, 'live/log');
    const file = await open(path, 'a');
    await file.write('first\n');
    await file.sync();
    const ino = await inoOf('log');
    const { fh } = await volume.vfs.open(rootContext(), ino, 0);
    expect((await readAll(ino, fh)).toString()).toBe('first\n');
    await file.write('second\n');
    await file.sync();
    await volume.vfs.getattr(rootContext(), ino);
    expect((await readAll(ino, fh)).toString()).toBe('first\nsecond\n');
    await file.close();
    volume.vfs.release(fh);
  });

  test('a file that was removed with its data gives EBADF or its old bytes, never others', async () => {
    const path = join(mountpoint, 'live/gone');
    const bytes = content(5 * MIB, 'gone');
    await writeFile(path, bytes);
    const ino = await inoOf('gone');
    const { fh } = await volume.vfs.open(rootContext(), ino, 0);
    await rm(path);
    await sleep(1_000);
    const read = await readAll(ino, fh).catch((error: unknown) => error);
    const outcome = Buffer.isBuffer(read) ? read.compare(bytes) : (read as { code: string }).code;
    expect([0, 'EBADF']).toContain(outcome);
    volume.vfs.release(fh);
  });

  test('names follow at once', async () => {
    await writeFile(join(mountpoint, 'live/old'), 'x');
    const ino = await inoOf('old');
    await rename(join(mountpoint, 'live/old'), join(mountpoint, 'live/new'));
    expect(await inoOf('new')).toBe(ino);
    await expect(inoOf('old')).rejects.toThrow('not there');
    expect(await readFile(join(mountpoint, 'live/new'), 'utf8')).toBe('x');
  });
});
