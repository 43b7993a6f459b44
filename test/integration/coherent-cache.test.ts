import {
  appendFile,
  chmod,
  mkdir,
  open,
  readFile,
  rename,
  rmdir,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { hasStock, startStockMount } from '../servers/stock.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter, type WritableVolume, writableVolume } from '../servers/writable.ts';

const FILES = 40;
/** Far below the minute for which the kernel may hold what it was told. */
const SOON_MS = 10_000;
const folders = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
/** Of files, in folders of their own. */
const crowds = ['many', 'others', 'opened'];

let volume: WritableVolume;
let redis: Redis;
let writer: TestDaemon;
let reader: TestDaemon;
/** Opens files that it knows without asking. */
let opener: TestDaemon;
const here = (name: string) => join(writer.mountpoint, name);
const there = (name: string) => join(reader.mountpoint, name);

beforeAll(async () => {
  volume = await writableVolume('redis', { blockKib: 64 });
  redis = new Redis(volume.metaUrl);
  redis.on('error', () => undefined);
  writer = await startWriter(volume, { name: 'writer' });
  for (const folder of folders) {
    await mkdir(here(folder));
    await writeFile(here(`${folder}/file`), 'old');
    await writeFile(here(`${folder}/other`), 'other');
  }
  for (const crowd of crowds) {
    await mkdir(here(crowd));
    await Promise.all(names(crowd).map((name) => writeFile(here(name), 'old')));
  }
  const args = ['--cache-dir', 'memory', '--memory-cache-size', '64', '--open-cache', '60'];
  [reader, opener] = await Promise.all([
    startWriter(volume, { name: 'reader' }),
    startDaemon({ metaUrl: volume.metaUrl, name: 'opener', args: [...args, ...volume.args] }),
  ]);
  const files = folders.flatMap((folder) => [`${folder}/file`, `${folder}/other`]);
  await untilHeld([...files, ...crowds.flatMap(names)]);
});

afterAll(async () => {
  await Promise.all([writer?.stop(), reader?.stop(), opener?.stop()]);
  redis?.disconnect();
  await volume?.stop();
});

const names = (folder: string) => Array.from({ length: FILES }, (_, index) => `${folder}/${index}`);
const asked = async () => {
  const metric = 'juicefs_fuse_ops_durations_histogram_seconds_count';
  const [lookups, attributes] = await Promise.all(
    ['lookup', 'getattr'].map((method) => reader.metric(metric, `method="${method}"`)),
  );
  return (lookups as number) + (attributes as number);
};

/** Until the reader's kernel answers for these names by itself, also after a second. */
async function untilHeld(held: readonly string[]): Promise<void> {
  const look = () => Promise.all(held.map((name) => stat(there(name))));
  await waitUntil(`${held.length} names to be held`, async () => {
    await look();
    const before = await asked();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    await look();
    // What the daemon answers by other threads is counted four times a second.
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await asked()) === before;
  });
}

const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: SOON_MS });
const sizeOf = async (name: string) => (await stat(there(name))).size;
const codeOf = (path: string) =>
  stat(path).then(
    () => 'there',
    (error: NodeJS.ErrnoException) => error.code,
  );

test('what is held is right soon after another mount has changed it', async () => {
  await untilHeld([
    ...folders.flatMap((name) => [`${name}/file`, `${name}/other`]),
    ...names('many'),
  ]);
  await chmod(here('a/file'), 0o600);
  await soon(async () => (await stat(there('a/file'))).mode & 0o777).toBe(0o600);
  await truncate(here('b/file'), 1_000);
  await soon(() => sizeOf('b/file')).toBe(1_000);
  await rename(here('c/other'), here('c/file'));
  await soon(() => codeOf(there('c/other'))).toBe('ENOENT');
  await soon(() => sizeOf('c/file')).toBe(5);
  await unlink(here('d/file'));
  await soon(() => codeOf(there('d/file'))).toBe('ENOENT');
  await unlink(here('e/file'));
  await mkdir(here('e/file'));
  await soon(async () => (await stat(there('e/file'))).isDirectory()).toBe(true);
  await rmdir(here('e/file'));
  await soon(() => codeOf(there('e/file'))).toBe('ENOENT');
  await rename(here('f'), here('moved'));
  await soon(() => codeOf(there('f/file'))).toBe('ENOENT');
  expect((await stat(there('moved/file'))).size).toBe(3);
  for (const [index, name] of names('many').entries()) {
    await appendFile(here(name), 'x'.repeat(index));
    await soon(() => sizeOf(name)).toBe(3 + index);
  }
});

test('a descriptor that is open shows what another mount has appended', async () => {
  const path = there('g/file');
  const file = await open(path);
  try {
    expect((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead).toBe(3);
    await appendFile(here('g/file'), ' and new');
    await soon(async () => (await file.read(Buffer.alloc(20), 0, 20, 0)).bytesRead).toBe(11);
  } finally {
    await file.close();
  }
  expect(await readFile(path, 'utf8')).toBe('old and new');
});

test('a name that was held here before it was renamed here is right soon, too', async () => {
  await rename(there('h/other'), there('h/renamed'));
  expect((await stat(there('h/renamed'))).size).toBe(5);
  await unlink(here('h/renamed'));
  await soon(() => codeOf(there('h/renamed'))).toBe('ENOENT');
});

test('with --open-cache known files are opened without asking, until they change', async () => {
  const paths = names('opened').map((name) => join(opener.mountpoint, name));
  const read = () => Promise.all(paths.map((path) => readFile(path, 'utf8')));
  const askedFor = () => opener.metric('juicefs_meta_ops_total', 'method="getattr"');
  // What others have asked for is counted four times a second.
  const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
  await waitUntil('opens that ask nothing', async () => {
    await pause();
    const before = await askedFor();
    await read();
    await pause();
    return (await askedFor()) === before;
  });
  for (const [index, name] of names('opened').entries()) {
    await writeFile(here(name), `${index}`.padStart(3));
    const path = join(opener.mountpoint, name);
    await soon(() => readFile(path, 'utf8')).toBe(`${index}`.padStart(3));
  }
  expect(await read()).toEqual(names('opened').map((_, index) => `${index}`.padStart(3)));
});

test.skipIf(!hasStock)('what the original client changes is right soon', async () => {
  const stock = await startStockMount(volume.metaUrl);
  try {
    await appendFile(join(stock.mountpoint, 'i/other'), '123');
    await expect.poll(() => sizeOf('i/other'), { timeout: SOON_MS }).toBe(8);
    await rename(join(stock.mountpoint, 'j/other'), join(stock.mountpoint, 'j/gone'));
    await expect.poll(() => codeOf(there('j/other')), { timeout: SOON_MS }).toBe('ENOENT');
  } finally {
    await stock.stop();
  }
});

test('when nobody tells of changes any more, nothing is held', async () => {
  await redis.call('ACL', 'SETUSER', 'default', '-subscribe');
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  for (const name of names('others')) await writeFile(here(name), 'new content');
  for (const name of names('others')) await soon(() => sizeOf(name)).toBe(11);
  expect(await reader.metric('juicefs_meta_changes_alive')).toBe(0);
  await waitUntil('nothing to be held', async () => {
    const held = ['juicefs_fuse_held_names', 'juicefs_fuse_held_attrs'];
    return (await Promise.all(held.map((name) => reader.metric(name)))).every((n) => n === 0);
  });
  await redis.call('ACL', 'SETUSER', 'default', '+subscribe');
});
