import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { mountedAt } from '../../src/fuse/kernel/mount-table.ts';
import { MemoryVolume } from '../fuse/memory-volume.ts';
import { cannotMount, clearMountpoint, makeMountpoint, mountVolume, shell } from './fuse-mount.ts';

const DAEMON = fileURLToPath(new URL('./fuse-daemon.ts', import.meta.url));
const never = () => new Promise<never>(() => undefined);

describe.skipIf(cannotMount)('the life of a kernel mount', () => {
  let mountpoint: string;
  let volume: MemoryVolume;
  const children = new Set<ChildProcess>();

  beforeEach(async () => {
    mountpoint = await makeMountpoint();
    volume = new MemoryVolume();
    volume.add('text', FileType.file, 'alive\n');
    volume.add('slow', FileType.file, 'x').onRead = never;
  });

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await clearMountpoint(mountpoint);
  });

  function start(program: string, ...args: string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    children.add(child);
    return child;
  }

  /** A daemon that has mounted, and the lines that it prints. */
  async function startDaemon() {
    const child = start(process.execPath, DAEMON, mountpoint);
    if (child.stdout === null || child.stdin === null) throw new Error('has pipes');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    expect(await next()).toBe('mounted');
    return { child, next, say: (line: string) => child.stdin?.write(`${line}\n`) };
  }

  async function exitOf(child: ChildProcess): Promise<number | string> {
    if (child.exitCode !== null) return child.exitCode;
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return code ?? String(signal);
  }

  it.each([
    ['O_DIRECT', ['dd', 'iflag=direct', 'bs=4096', 'if=']],
    // cat and not dd, which catches the signal: a wait for a page ends only for signals that kill.
    ['the page cache', ['cat', '']],
  ])('lets a reader through %s be interrupted whose read never ends', async (_, command) => {
    const mount = await mountVolume(volume, { mountpoint });
    const [program = '', ...args] = command;
    const last = `${args.pop()}${join(mountpoint, 'slow')}`;
    const reader = start(program, ...args, last);
    await expect.poll(() => volume.reads, { timeout: 10_000 }).toBeGreaterThan(0);
    reader.kill('SIGINT');
    expect(await exitOf(reader)).not.toBe(0);
    await mount.close();
  });

  it('lets go of a closed file although no other request comes', async () => {
    const { close } = await mountVolume(volume, { mountpoint, workers: 1 });
    expect(await readFile(join(mountpoint, 'text'), 'utf8')).toBe('alive\n');
    await expect.poll(() => volume.handles.size, { timeout: 5_000 }).toBe(0);
    await close();
  });

  it('ends when the user unmounts', async () => {
    const { driver, close } = await mountVolume(volume, { mountpoint });
    expect(await readFile(join(mountpoint, 'text'), 'utf8')).toBe('alive\n');
    await shell(['umount', mountpoint]);
    await driver.closed;
    await close();
  });

  it('ends after a lazy unmount when the last file is closed', async () => {
    const { driver, close } = await mountVolume(volume, { mountpoint });
    const file = await open(join(mountpoint, 'text'));
    await shell(['umount', '-l', mountpoint]);
    expect(mountedAt(mountpoint)).toBeUndefined();
    expect(await file.readFile('utf8')).toBe('alive\n');
    await file.close();
    await driver.closed;
    await close();
  });

  it('stops in bounded time while a reader waits, who gets an error', async () => {
    const { driver } = await mountVolume(volume, { mountpoint });
    const reader = start('dd', 'iflag=direct', 'bs=4096', `if=${join(mountpoint, 'slow')}`);
    await expect.poll(() => volume.reads, { timeout: 10_000 }).toBeGreaterThan(0);
    const exit = exitOf(reader);
    await driver.stop();
    expect(await exit).toBe(1);
    expect(mountedAt(mountpoint)).toBeUndefined();
    await driver.closed;
  });

  it('can be made again at the same place', async () => {
    for (let round = 0; round < 3; round++) {
      const { driver } = await mountVolume(volume, { mountpoint });
      expect(await readFile(join(mountpoint, 'text'), 'utf8')).toBe('alive\n');
      await driver.stop();
    }
  });

  it('leaves nobody waiting when the daemon is killed, and its mount can be replaced', async () => {
    const { child, next } = await startDaemon();
    const reader = start('dd', 'iflag=direct', 'bs=4096', `if=${join(mountpoint, 'slow')}`);
    expect(await next()).toBe('reading');
    const exit = exitOf(reader);
    child.kill('SIGKILL');
    expect(await exit).toBe(1);
    await expect(readFile(join(mountpoint, 'text'))).rejects.toThrow(/ENOTCONN/);
    const { driver } = await mountVolume(volume, { mountpoint });
    expect(await readFile(join(mountpoint, 'text'), 'utf8')).toBe('alive\n');
    await driver.stop();
    expect(mountedAt(mountpoint)).toBeUndefined();
  });

  it.each([
    ['exit', 0],
    ['throw', 1],
  ])('does not keep a process from ending by %s', async (line, code) => {
    const { child, say } = await startDaemon();
    say(line);
    expect(await exitOf(child)).toBe(code);
    expect(mountedAt(mountpoint)).toBeUndefined();
  });

  it('ends, and ends the process, when a thread dies', async () => {
    const { child, next, say } = await startDaemon();
    const reader = start('dd', 'iflag=direct', 'bs=4096', `if=${join(mountpoint, 'slow')}`);
    expect(await next()).toBe('reading');
    const exit = exitOf(reader);
    say('close-device');
    expect(await next()).toBe('device closed');
    await readFile(join(mountpoint, 'text')).catch(() => undefined);
    expect(await next()).toBe('fatal');
    expect(await exitOf(child)).toBe(3);
    expect(await exit).toBe(1);
  });

  it('refuses a place where something alive is mounted', async () => {
    const { driver } = await mountVolume(volume, { mountpoint });
    await expect(mountVolume(volume, { mountpoint })).rejects.toMatchObject({
      code: 'mountpoint-busy',
    });
    expect(await readFile(join(mountpoint, 'text'), 'utf8')).toBe('alive\n');
    await driver.stop();
  });

  it('refuses a place that is no directory', async () => {
    const file = join(mountpoint, 'file');
    await writeFile(file, '');
    for (const path of [file, join(mountpoint, 'absent')]) {
      await expect(mountVolume(volume, { mountpoint: path })).rejects.toMatchObject({
        code: 'not-a-directory',
      });
    }
  });
});
