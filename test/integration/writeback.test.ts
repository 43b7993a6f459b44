import { constants, createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { type DaemonOptions, startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { type FileOrigin, startFileOrigin } from '../servers/file-origin.ts';
import { detach, isMounted } from '../servers/mounted.ts';
import { hasStock, startStockMount } from '../servers/stock.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';

const BLOCK_BYTES = 64 * 1024;
const STAGING = 'juicefs_staging_';
const AWAY = { status: 503 };
const KEYS = { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' };

let volume: SyntheticVolume;
let origin: FileOrigin;
let bucket: string;
/** Reads what the others have written. */
let reader: TestDaemon;

beforeAll(async () => {
  const folder = await folderBucket();
  bucket = folder.dir;
  volume = await makeSyntheticVolume({ bucket: folder, blockKib: BLOCK_BYTES / 1024 });
  origin = await startFileOrigin(bucket);
  reader = await start({ name: 'reader', args: ['--cache-dir', 'memory'] });
});

afterEach(() => {
  origin.heal();
});

afterAll(async () => {
  await reader?.stop();
  await origin?.stop();
  await volume?.stop();
});

function start(options: Omit<DaemonOptions, 'metaUrl'>): Promise<TestDaemon> {
  const store = ['--storage', 'minio', '--bucket', `${origin.endpoint}/bucket`];
  const args = ['--read-write', ...store, '--io-retries', '0', ...(options.args ?? [])];
  return startDaemon({ ...options, metaUrl: volume.metaUrl, env: KEYS, args });
}

/** A daemon that stages, with as good as no cache beside. */
async function startStager(options: Omit<DaemonOptions, 'metaUrl'> = {}): Promise<TestDaemon> {
  const little = ['--writeback', '--cache-size', '1', '--memory-cache-size', '0'];
  const daemon = await start({ ...options, args: [...little, ...(options.args ?? [])] });
  onTestFinished(() => daemon.stop());
  return daemon;
}

const untilUploaded = (daemon: TestDaemon) =>
  waitUntil('all to be uploaded', async () => (await daemon.metric(`${STAGING}blocks`)) === 0);

/** Content of which no two blocks are the same. */
function contentOf(name: string, sizeBytes: number): Buffer {
  const lines = Array.from({ length: sizeBytes / 32 + 1 }, (_, line) =>
    `${name} ${line}`.padEnd(32),
  );
  return Buffer.from(lines.join('')).subarray(0, sizeBytes);
}

/** Writes a file, which is safe when this resolves. */
async function writeSafely(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'w');
  await file.write(content);
  await file.sync();
  await file.close();
}

/** Reads a file past the kernel's memory. */
async function readPastKernel(path: string): Promise<Buffer> {
  const flags = constants.O_RDONLY | constants.O_DIRECT;
  const parts = createReadStream(path, { flags: flags as unknown as string });
  return Buffer.concat((await parts.toArray()) as Buffer[]);
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Staged blocks; what a killed daemon was just writing is too young to be taken away. */
async function blocksIn(staging: string): Promise<string[]> {
  return (await filesBelow(staging)).filter((path) => !path.endsWith('.tmp'));
}

/** Files that no writer was told to be safe, and one that lost its end. */
async function plantOddFiles(staging: string): Promise<{ check(): Promise<void> }> {
  const folder = join(staging, 'chunks/0/77');
  await mkdir(folder, { recursive: true });
  const names = ['77001_0_65536', 'notes.txt', '77002_0_65536.tmp'];
  for (const name of names) await writeFile(join(folder, name), 'some bytes');
  await utimes(join(folder, '77002_0_65536.tmp'), 1, 1);
  return {
    check: async () => {
      const left = await blocksIn(staging);
      expect(left.sort()).toEqual([join(folder, '77001_0_65536'), join(folder, 'notes.txt')]);
      expect((await readdir(folder)).length).toBe(2);
    },
  };
}

async function stagingOf(cacheDir: string): Promise<string> {
  const [uuid = ''] = await readdir(cacheDir);
  return join(cacheDir, uuid, 'rawstaging');
}

/** What a stock client staged before it was killed. @returns undefined without one */
async function leaveTheirs(cacheDir: string): Promise<Buffer | undefined> {
  if (!hasStock) return undefined;
  const args = ['--writeback', '--upload-delay', '1h'];
  const stock = await startStockMount(volume.metaUrl, {}, { cacheDir, args });
  onTestFinished(() => stock.stop());
  const content = contentOf('theirs', 5 * BLOCK_BYTES + 5);
  await writeSafely(join(stock.mountpoint, 'theirs'), content);
  await stock.kill();
  return content;
}

/** @throws unless all of a file is read from the stage, by a daemon whose cache is too small for it */
async function checkStagedReads(daemon: TestDaemon, name: string, content: Buffer): Promise<void> {
  const path = join(daemon.mountpoint, name);
  expect((await readPastKernel(path)).equals(content)).toBe(true);
  const part = await open(path, constants.O_RDONLY | constants.O_DIRECT);
  const { buffer } = await part.read(Buffer.alloc(4096), 0, 4096, 3 * BLOCK_BYTES + 40_960);
  await part.close();
  expect(buffer.equals(content.subarray(3 * BLOCK_BYTES + 40_960).subarray(0, 4096))).toBe(true);
  const reads = await daemon.metric('juicefs_mesh_events_total', 'event="staged-read"');
  expect(reads).toBeGreaterThan(content.length / BLOCK_BYTES / 3);
}

const contentAt = (name: string) => readFile(join(reader.mountpoint, name));
let dir: string;
let cacheDir: string;
let staging: string;

test('what killed daemons had staged, ours or stock, is read here at once and uploaded by the next', async () => {
  dir = await makeTempDir('staged');
  const theirs = await leaveTheirs(join(dir, 'cache'));
  const before = await startStager({ dir, args: ['--upload-delay', '1h'] });
  cacheDir = before.cacheDir;
  const content = contentOf('killed', 60 * BLOCK_BYTES + 5);
  await writeSafely(join(before.mountpoint, 'killed'), content);
  // In the middle of another file.
  const unfinished = await open(join(before.mountpoint, 'unfinished'), 'w');
  onTestFinished(() => unfinished.close().catch(() => undefined));
  await unfinished.write(contentOf('unfinished', 3 * BLOCK_BYTES + 100));
  await before.process.stop('SIGKILL');
  await detach(before.mountpoint);
  staging = await stagingOf(cacheDir);
  const odd = await plantOddFiles(staging);

  Object.assign(origin.faults, AWAY);
  // Whatever its options are now.
  const after = await start({ dir, args: ['--cache-size', '0', '--memory-cache-size', '0'] });
  onTestFinished(() => after.stop());
  await checkStagedReads(after, 'killed', content);
  const stats = await readFile(join(after.mountpoint, '.stats'), 'utf8');
  const waiting = Number(/staging_block_bytes\S* (\d+)/.exec(stats)?.[1]);
  expect(waiting).toBeGreaterThanOrEqual(content.length);
  await waitUntil('a retry', async () => (await after.metric(`${STAGING}upload_retries`)) > 0);
  origin.heal();
  await untilUploaded(after);
  expect((await contentAt('killed')).equals(content)).toBe(true);
  const isTheirs = theirs === undefined || (await contentAt('theirs')).equals(theirs);
  expect(isTheirs).toBe(true);
  await odd.check();
  expect(await after.metric(`${STAGING}damaged_blocks`)).toBe(1);
  const log = await after.log();
  expect(log).toContain('is damaged: its file is left where it is');
  expect(log).toContain('is no block of this volume: it stays');
  expect(log).toContain('an unfinished staged block was removed');
  const refused = await runCli(['umount', '--flush', after.mountpoint]);
  expect(refused.stderr).toContain('1 staged block cannot be uploaded');
  expect(await isMounted(after.mountpoint)).toBe(true);
  await rm(join(staging, 'chunks/0/77'), { recursive: true });
});

test.runIf(hasStock)(
  'juicefs --writeback uploads what we have left at an orderly end',
  async () => {
    Object.assign(origin.faults, AWAY);
    const daemon = await startStager({ dir });
    const content = contentOf('left', 3 * BLOCK_BYTES);
    await writeSafely(join(daemon.mountpoint, 'left'), content);
    await daemon.stop();
    expect(await daemon.log()).toContain('blocks stay staged');
    origin.heal();
    const stock = await startStockMount(volume.metaUrl, {}, { cacheDir, args: ['--writeback'] });
    onTestFinished(() => stock.stop());
    await waitUntil('all to be uploaded', async () => (await blocksIn(staging)).length === 0);
    expect((await contentAt('left')).equals(content)).toBe(true);
  },
);

test('umount --flush waits for nothing but the uploads; what is removed before is not uploaded', async () => {
  const daemon = await startStager({ dir, args: ['--upload-delay', '1h'] });
  const content = contentOf('flushed', 3 * BLOCK_BYTES);
  await writeSafely(join(daemon.mountpoint, 'flushed'), content);
  await writeSafely(join(daemon.mountpoint, 'removed'), contentOf('removed', 2 * BLOCK_BYTES));
  expect(await daemon.metric(`${STAGING}blocks`)).toBe(5);
  await unlink(join(daemon.mountpoint, 'removed'));
  await waitUntil('it to be unstaged', async () => (await daemon.metric(`${STAGING}blocks`)) === 3);
  const objects = (await filesBelow(bucket)).length;
  const flushed = await runCli(['umount', '--flush', daemon.mountpoint]);
  expect(flushed).toMatchObject({ status: 0, stderr: '' });
  expect(flushed.stdout).toContain('3 staged blocks (192.0 KiB) are still to upload');
  await waitUntil('the mount to be gone', async () => !(await isMounted(daemon.mountpoint)));
  expect(await blocksIn(staging)).toEqual([]);
  expect((await filesBelow(bucket)).length).toBe(objects + 3);
  expect((await contentAt('flushed')).equals(content)).toBe(true);
});
