import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket, gatewayBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { type LoadedFixture, loadFixture } from '../servers/fixtures.ts';
import { freePort } from '../servers/free-port.ts';
import { detach, isMounted } from '../servers/mounted.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';

let volume: SyntheticVolume;
let encrypted: LoadedFixture;
let empty: RedisServer;
let guarded: RedisServer;
const started: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  encrypted = await loadFixture('encrypted-aes');
  empty = await startRedis();
  guarded = await startRedis({ password: 'right' });
  started.push(volume, encrypted, empty, guarded);
});

afterAll(async () => {
  await Promise.all(started.map((server) => server.stop()));
});

interface BadMount {
  readonly url: string;
  readonly mountpoint?: string;
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Mounts in a way that must fail.
 *
 * @returns the one message that it ends with
 * @throws Error when it says more, mounts, or does not end by itself
 */
async function complaintAbout(bad: BadMount): Promise<string> {
  const dir = await makeTempDir('bad');
  const mountpoint = bad.mountpoint ?? join(dir, 'mnt');
  const defaults = ['--metrics', '127.0.0.1:0', '--cache-dir', join(dir, 'cache')];
  const words = ['mount', bad.url, mountpoint, ...defaults, ...(bad.options ?? [])];
  const { status, stdout, stderr } = await runCli(words, bad.env);
  const said = `${stdout}${stderr}`;
  const mounted = await isMounted(mountpoint);
  await detach(mountpoint);
  if (mounted) throw new Error(`it mounted: ${said}`);
  if (typeof status !== 'number' || status === 0) throw new Error(`status ${status}: ${said}`);
  if (/\n\s*at .*:\d+:\d+|^Error: /m.test(said)) throw new Error(`a stack trace: ${said}`);
  const messages = said.match(/^(cachemesh|error): .*/gm) ?? [];
  if (messages.length !== 1) throw new Error(`${messages.length} messages: ${said}`);
  return messages[0] ?? '';
}

test.each([
  ['no scheme', 'localhost/1', /metadata URL.*scheme/],
  ['an engine that does not exist', 'mongodb://127.0.0.1/1', /mongodb/],
  ['an engine that is not supported yet', 'tikv://127.0.0.1/1', /tikv.*not supported/],
  ['a database number that is none', 'redis://127.0.0.1/one', /one|database/],
  ['a SQLite file that does not exist', 'sqlite3:///nowhere/meta.db', /nowhere\/meta\.db/],
])('metadata URL: %s', async (_, url, message) => {
  expect(await complaintAbout({ url })).toMatch(message);
});

test('a server that nobody runs', async () => {
  const url = `redis://127.0.0.1:${await freePort()}/1`;
  expect(await complaintAbout({ url })).toMatch(/ECONNREFUSED|connect|no answer/i);
});

test('a database without a volume', async () => {
  expect(await complaintAbout({ url: empty.url })).toMatch(/no volume/);
});

test('a wrong password of the metadata server', async () => {
  const url = `redis://:wrong@127.0.0.1:${guarded.port}/0`;
  expect(await complaintAbout({ url })).toMatch(/password|WRONGPASS|auth/i);
});

test.each([
  ['MetaVersion', 2, /MetaVersion.*2/],
  ['MinClientVersion', '9.0.0', /MinClientVersion.*9\.0\.0/],
  ['MaxClientVersion', '1.0.0', /MaxClientVersion.*1\.0\.0/],
  ['Compression', 'brotli', /Compression/],
  ['BlockSize', 1000, /BlockSize/],
  ['Storage', 'floppy', /floppy/],
])('a setting with %s %s', async (field, value, message) => {
  const bucket = await folderBucket();
  const strange = await makeSyntheticVolume({ bucket, setting: { [field]: value } });
  try {
    expect(await complaintAbout({ url: strange.metaUrl })).toMatch(message);
  } finally {
    await strange.stop();
  }
});

test('a setting that is no JSON', async () => {
  await empty.command('SET', 'setting', '{"Name":');
  expect(await complaintAbout({ url: empty.url })).toMatch(/setting/);
});

test('a bucket folder that does not exist', async () => {
  const options = ['--bucket', '/nowhere/bucket/'];
  expect(await complaintAbout({ url: volume.metaUrl, options })).toMatch(/nowhere\/bucket/);
});

test('a bucket of another volume with the same name', async () => {
  const bucket = await folderBucket();
  await bucket.put('synthetic/juicefs_uuid', Buffer.from('7c8e5d1c-0000-4000-8000-000000000000'));
  const options = ['--bucket', `${bucket.dir}/`];
  expect(await complaintAbout({ url: volume.metaUrl, options })).toMatch(/another volume/);
});

test('a bucket that the gateway does not have', async () => {
  const { setting } = await gatewayBucket();
  const wrong = { ...setting, Bucket: `${setting.Bucket}-not` };
  const lost = await makeSyntheticVolume({ bucket: await folderBucket(), setting: wrong });
  try {
    expect(await complaintAbout({ url: lost.metaUrl })).toMatch(/volume-[-0-9a-f]+-not/);
  } finally {
    await lost.stop();
  }
});

test('a wrong secret of the bucket', async () => {
  const { setting } = await gatewayBucket();
  const wrong = { ...setting, SecretKey: 'wrong' };
  const locked = await makeSyntheticVolume({ bucket: await folderBucket(), setting: wrong });
  try {
    expect(await complaintAbout({ url: locked.metaUrl })).toMatch(
      /denied|forbidden|signature|credential/i,
    );
  } finally {
    await locked.stop();
  }
});

test.each([
  ['none', {}, /passphrase.*JFS_RSA_PASSPHRASE/],
  ['a wrong one', { JFS_RSA_PASSPHRASE: 'wrong' }, /wrong passphrase/],
])('an encrypted volume and a passphrase: %s', async (_, env, message) => {
  const options = ['--bucket', encrypted.bucket];
  expect(await complaintAbout({ url: encrypted.metaUrl, options, env })).toMatch(message);
});

test.each([
  ['a size', ['--cache-size', 'much'], /--cache-size.*much/],
  ['a choice', ['--fuse-driver', 'magic'], /--fuse-driver.*magic/],
  ['an option that does not exist', ['--write-back'], /--write-back/],
  ['--writeback on a mount that reads', ['--writeback'], /--read-write/],
  [
    'hours that are none',
    ['--read-write', '--writeback', '--upload-hours', '25-3'],
    /--upload-hours.*25-3/,
  ],
  ['peers without a group', ['--peers', '/ip4/127.0.0.1/tcp/1'], /--cache-group/],
  ['a sub-directory that does not exist', ['--subdir', 'not/there'], /not\/there/],
])('%s', async (_, options, message) => {
  expect(await complaintAbout({ url: volume.metaUrl, options })).toMatch(message);
});

test('a mountpoint that is a file', async () => {
  const file = join(await makeTempDir('file'), 'mnt');
  await writeFile(file, 'in the way');
  expect(await complaintAbout({ url: volume.metaUrl, mountpoint: file })).toMatch(
    /not a directory|directory/,
  );
});

test('a mountpoint below something that is a file', async () => {
  const file = join(await makeTempDir('file'), 'mnt');
  await writeFile(file, 'in the way');
  expect(await complaintAbout({ url: volume.metaUrl, mountpoint: join(file, 'below') })).toMatch(
    /below/,
  );
});

test('a failed mount leaves no session', async () => {
  expect(await volume.redis.command('ZCARD', 'allSessions')).toBe('0');
});
