import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runToEnd } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { detach } from '../servers/mounted.ts';
import { startWriter, type WritableVolume, writableVolume } from '../servers/writable.ts';

const ROUNDS = 60;
const RECORDS = 60;

/** Appends records, each under a lock, by a descriptor that stays open. */
const APPENDER = `
import fcntl, os, sys
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for number in range(count):
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(fd, f"{name} {number} {'x' * (number * 37 % 200)}\\n".encode())
    fcntl.flock(fd, fcntl.LOCK_UN)
os.close(fd)
`;

/** Adds one to a number in a file so many times, each under a lock of fcntl(2). */
const COUNTER = `
import fcntl, os, sys
path, count = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDWR | os.O_CREAT)
for number in range(count):
    fcntl.lockf(fd, fcntl.LOCK_EX)
    value = int(os.pread(fd, 20, 0) or b"0")
    os.pwrite(fd, f"{value + 1:20}".encode(), 0)
    fcntl.lockf(fd, fcntl.LOCK_UN)
os.close(fd)
`;

describe('nodes that write to one volume', () => {
  let volume: WritableVolume;
  let nodes: [TestDaemon, TestDaemon];
  const at = (node: number, name: string) =>
    join((nodes[node] as TestDaemon).mountpoint, 'shared', name);

  beforeAll(async () => {
    volume = await writableVolume('redis', { blockKib: 64 });
    nodes = (await Promise.all(['one', 'two'].map((name) => startWriter(volume, { name })))) as [
      TestDaemon,
      TestDaemon,
    ];
    await mkdir(join(nodes[0].mountpoint, 'shared'));
  });

  afterAll(async () => {
    await Promise.all((nodes ?? []).map((node) => node.stop()));
    await volume?.stop();
  });

  test(`${ROUNDS} times: an open after a close sees all of it`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const [writer, reader] = [round % 2, (round + 1) % 2];
      // The same length half of the time: then only times tell the contents apart.
      const length = round % 2 === 0 ? 5_000 : 1 + ((round * 7919) % 150_000);
      const content = Buffer.alloc(length, `${round} `);
      await writeFile(at(writer, 'file'), content);
      const found = await readFile(at(reader, 'file'));
      expect(found.equals(content), `round ${round}`).toBe(true);
    }
  });

  test('a file that is open for reading shows its writer what it writes, at once', async () => {
    await writeFile(at(0, 'both'), 'old old old');
    const reader = await open(at(0, 'both'), 'r');
    const writer = await open(at(0, 'both'), 'r+');
    const look = async () => {
      const { buffer, bytesRead } = await reader.read(Buffer.alloc(100), 0, 100, 0);
      return buffer.subarray(0, bytesRead).toString();
    };
    expect(await look()).toBe('old old old');
    for (let round = 0; round < 20; round += 1) {
      const text = `new ${round} new ${'n'.repeat(round)}`;
      await writer.write(text, 0);
      expect((await look()).startsWith(text)).toBe(true);
      expect((await reader.stat()).size).toBe(Math.max(11, text.length));
    }
    await Promise.all([reader.close(), writer.close()]);
  });

  test('records that are appended under a lock are all there', { timeout: 60_000 }, async () => {
    const append = (node: number, name: string) =>
      runToEnd(['python3', '-c', APPENDER, at(node, 'log'), name, String(RECORDS)]);
    const ended = await Promise.all([append(0, 'a'), append(1, 'b'), append(0, 'c')]);
    expect(ended.map(({ stderr }) => stderr)).toEqual(['', '', '']);
    for (const node of [0, 1]) {
      const lines = (await readFile(at(node, 'log'), 'utf8')).trimEnd().split('\n');
      const wanted = ['a', 'b', 'c'].flatMap((name) =>
        Array.from({ length: RECORDS }, (_, n) => `${name} ${n} ${'x'.repeat((n * 37) % 200)}`),
      );
      expect(lines.map((line) => line.trim()).toSorted()).toEqual(
        wanted.map((line) => line.trim()).toSorted(),
      );
    }
  });

  test('a number that is counted up under a lock is exact', { timeout: 60_000 }, async () => {
    const count = (node: number) =>
      runToEnd(['python3', '-c', COUNTER, at(node, 'number'), String(RECORDS)]);
    const ended = await Promise.all([count(0), count(1)]);
    expect(ended.map(({ stderr }) => stderr)).toEqual(['', '']);
    expect(Number(await readFile(at(0, 'number'), 'utf8'))).toBe(2 * RECORDS);
  });

  test('a name that another node has given to another file opens that one at once', async () => {
    await writeFile(at(0, 'name'), 'first');
    for (let round = 0; round < 10; round += 1) {
      // From now on this node believes for a second what the name is.
      await stat(at(0, 'name'));
      await writeFile(at(1, 'next'), `round ${round}`);
      await rename(at(1, 'next'), at(1, 'name'));
      expect(await readFile(at(0, 'name'), 'utf8')).toBe(`round ${round}`);
    }
    await unlink(at(1, 'name'));
    await expect(readFile(at(0, 'name'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('appending after another node did goes to the true end', async () => {
    await writeFile(at(0, 'ends'), '');
    for (let round = 0; round < 20; round += 1)
      await appendFile(at(round % 2, 'ends'), `${round},`);
    const wanted = Array.from({ length: 20 }, (_, round) => `${round},`).join('');
    expect(await readFile(at(0, 'ends'), 'utf8')).toBe(wanted);
  });

  test('a write with O_DSYNC is where others see it before it returns, also an append', async () => {
    const program = [
      'import os, sys',
      'fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC)',
      'for text in (b"one ", b"two"): os.write(fd, text)',
      // The descriptor is still open: no close(2) has committed anything.
      'print(os.stat(sys.argv[2]).st_size)',
    ].join('\n');
    const { stdout } = await runToEnd(['python3', '-c', program, at(0, 'synced'), at(1, 'synced')]);
    expect(stdout.trim()).toBe('7');
  });
});

/** Names that a program has printed before its daemon is killed. */
const SYNCED_MIN = 20;

/** Writes and syncs one file after the other, and prints each name when it is safe. */
const SYNCER = `
import os, sys
for number in range(100000):
    fd = os.open(f"{sys.argv[1]}/{number}", os.O_WRONLY | os.O_CREAT)
    os.write(fd, f"{number} ".encode() * (1 + number * 977 % 40000))
    os.fsync(fd)
    print(number, flush=True)
    os.write(fd, b"not synced")
`;

/** Lets a program write and sync until the daemon under it is killed. @returns the safe files' numbers */
async function syncUntilKilled(victim: TestDaemon, dir: string): Promise<number[]> {
  const child = spawn('python3', ['-c', SYNCER, dir], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let printed = '';
  const enough = Promise.withResolvers<void>();
  child.stdout.on('data', (part: Buffer) => {
    printed += part.toString();
    if (printed.split('\n').length >= SYNCED_MIN) enough.resolve();
  });
  // All that it printed has been read, too.
  const gone = once(child, 'close');
  await Promise.race([enough.promise, gone]);
  expect(child.exitCode, 'it ended by itself').toBe(null);
  await victim.process.stop('SIGKILL');
  await gone;
  await detach(victim.mountpoint);
  return printed.trimEnd().split('\n').map(Number);
}

/** @throws when a file has other bytes than those that were synced, and perhaps what followed them */
async function checkSynced(dir: string, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    const path = join(dir, String(number));
    const wanted = `${number} `.repeat(1 + ((number * 977) % 40_000));
    const found = await readFile(path, 'utf8');
    expect(found.slice(0, wanted.length) === wanted, `file ${number}`).toBe(true);
    expect(['', 'not synced']).toContain(found.slice(wanted.length));
    expect((await stat(path)).size).toBe(found.length);
  }
}

test('what was synced is there after kill -9', async () => {
  const volume = await writableVolume('redis', { blockKib: 64 });
  onTestFinished(() => volume.stop());
  const start = async (name: string) => {
    const daemon = await startWriter(volume, { name });
    onTestFinished(async () => {
      await daemon.stop();
      await detach(daemon.mountpoint);
    });
    return daemon;
  };
  let victim = await start('victim-0');
  for (let round = 0; round < 3; round += 1) {
    const name = `round-${round}`;
    const dir = join(victim.mountpoint, name);
    await mkdir(dir);
    const synced = await syncUntilKilled(victim, dir);
    expect(synced.length).toBeGreaterThanOrEqual(SYNCED_MIN - 1);
    // Who sees that all is there is the next one to be killed.
    victim = await start(`victim-${round + 1}`);
    await checkSynced(join(victim.mountpoint, name), synced);
  }
});
