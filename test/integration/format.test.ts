import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../servers/cli.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { SQLITE_SCHEMA } from '../servers/sqlite-schema.ts';
import { hasStock, runStock, startStockMount } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';
import { startDaemon } from '../servers/daemons.ts';

let dir: string;
let redis: RedisServer;
let next = 0;

beforeAll(async () => {
  dir = await makeTempDir('format');
  redis = await startRedis({ args: ['--databases', '64'] });
});

afterAll(async () => {
  await redis?.stop();
});

/** Where a new volume is to be. */
function place(engine: 'redis' | 'sqlite'): { metaUrl: string; bucket: string } {
  next += 1;
  const metaUrl =
    engine === 'redis'
      ? redis.url.replace(/\/0$/, `/${next}`)
      : `sqlite3://${join(dir, `${next}.db`)}`;
  return { metaUrl, bucket: join(dir, `bucket-${next}`) };
}

async function format(metaUrl: string, ...words: readonly string[]): Promise<void> {
  expect(await runCli(['format', metaUrl, ...words])).toMatchObject({ status: 0, stderr: '' });
}

/** All that a database holds; what differs from volume to volume is masked. */
async function contentOf(metaUrl: string): Promise<unknown> {
  return metaUrl.startsWith('redis') ? redisContent(metaUrl) : sqliteContent(metaUrl);
}

async function redisContent(metaUrl: string): Promise<unknown> {
  const client = new Redis(metaUrl);
  try {
    const keys = (await client.keys('*')).toSorted();
    const values = await Promise.all(keys.map((key) => client.getBuffer(key)));
    return keys.map((key, index) => {
      const value = values[index] ?? Buffer.alloc(0);
      if (key === 'setting') return masked(value.toString());
      const times = value.subarray(11, 47);
      const [seconds, nanoseconds] = [times.readBigInt64BE(0), times.readUInt32BE(8)];
      expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60);
      expect([times.subarray(12, 24), times.subarray(24)]).toEqual(
        Array(2).fill(times.subarray(0, 12)),
      );
      return [key, nanoseconds, Buffer.from(value).fill(0, 11, 47).toString('hex')];
    });
  } finally {
    client.disconnect();
  }
}

function sqliteContent(metaUrl: string): unknown {
  const database = new DatabaseSync(metaUrl.slice('sqlite3://'.length), { readOnly: true });
  try {
    const rows = (sql: string) => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement.all();
    };
    const tables = rows("SELECT name FROM sqlite_master WHERE type = 'table'").map(({ name }) =>
      String(name),
    );
    const data = tables.map((table) => [
      table,
      rows(`SELECT * FROM "${table}"`).map((row) => {
        const times = ['atime', 'mtime', 'ctime'].filter((column) => column in row);
        expect(new Set(times.map((column) => row[column])).size).toBeLessThanOrEqual(1);
        const hidden = times.flatMap((column) => [column, `${column}nsec`]);
        const shown = Object.entries(row).map(([name, value]) =>
          hidden.includes(name) ? [name, typeof value] : [name, value],
        );
        return { ...Object.fromEntries(shown), ...(table === 'jfs_setting' && maskedRow(row)) };
      }),
    ]);
    const mode = rows('PRAGMA journal_mode');
    return { schema: rows('SELECT type, name, tbl_name, sql FROM sqlite_master'), data, mode };
  } finally {
    database.close();
  }
}

const maskedRow = (row: Record<string, unknown>) => ({ value: masked(String(row['value'])) });

/** Secrets are sealed with a random nonce. */
function masked(setting: string): string {
  return setting
    .replace(
      /"UUID": "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"/,
      'uuid',
    )
    .replace(/"Bucket": "[^"]*\/bucket-\d+(%d)?\/"/, 'bucket$1')
    .replaceAll(
      /"(SecretKey|SessionToken|EncryptKey)": "([A-Za-z0-9+/=]+)"/g,
      (_, name, value) => `${name} of ${String(value).length} characters`,
    );
}

/** Object names and sizes, without directories. */
async function objectsIn(bucket: string): Promise<string[]> {
  const entries = await readdir(bucket, { recursive: true }).catch((): string[] => []);
  return entries.toSorted((a, b) => (a < b ? -1 : 1));
}

const ROOT_HEX = '0021ff00000000000000000';
const LIMITS = ['--capacity', '1.5', '--inodes', '1000', '--trash-days', '0'];
const SHAPE = ['--block-size', '64', '--compress', 'zstd', '--hash-prefix'];
const OTHERS = ['--enable-acl', '--encrypt-algo', 'chacha20-rsa', '--shards', '3'];
const KEYS = ['--access-key', 'a&b', '--secret-key', 's3cret', '--session-token', 'token'];

describe.each(['redis', 'sqlite'] as const)('a new volume on %s', (engine) => {
  test('holds what the format says and nothing else', async () => {
    const { metaUrl, bucket } = place(engine);
    await format(metaUrl, 'volume', '--bucket', bucket, ...LIMITS);
    const content = JSON.stringify(await contentOf(metaUrl), (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    expect(content).toContain(String.raw`\"Capacity\": 1610612736,\n\"Inodes\": 1000`);
    expect(content).toContain(String.raw`\"DirStats\": true,\n\"EnableACL\": false\n}`);
    expect(content).not.toContain('9223372032828243968');
    const names = SQLITE_SCHEMA.match(/(?<=(?:TABLE|INDEX) )\w+/g) ?? [];
    const inSqlite = names.map((name) => `"name":"${name}"`);
    const expected = engine === 'redis' ? [`["i1",0,"${ROOT_HEX}`] : inSqlite;
    expect(expected.filter((part) => !content.includes(part))).toEqual([]);
    // The object by which the bucket was tested is gone, with its folder.
    expect(await objectsIn(bucket)).toEqual(['volume', 'volume/juicefs_uuid']);
  });

  test.skipIf(!hasStock).each([
    ['by default', []],
    ['with all that can be asked for', [...LIMITS, ...SHAPE, ...KEYS, ...OTHERS]],
  ])('is in all fields as the original client makes it: %s', async (_, words) => {
    const [ours, theirs] = [place(engine), place(engine)];
    const suffix = words.includes('--shards') ? '%d' : '';
    await format(ours.metaUrl, 'volume', '--bucket', ours.bucket + suffix, ...words);
    const stock = ['format', theirs.metaUrl, 'volume', '--bucket', theirs.bucket + suffix];
    expect(await runStock([...stock, ...words])).toMatchObject({ status: 0 });
    expect(await contentOf(ours.metaUrl)).toEqual(await contentOf(theirs.metaUrl));
    expect(await objectsIn(ours.bucket)).toEqual(await objectsIn(theirs.bucket));
  });

  test.skipIf(!hasStock)(
    'is mounted and filled by the original client, and read by us',
    async () => {
      const { metaUrl, bucket } = place(engine);
      await format(metaUrl, 'volume', '--bucket', bucket, '--compress', 'lz4');
      expect(JSON.parse((await runStock(['status', metaUrl])).stdout)).toMatchObject({
        Setting: { Name: 'volume', Compression: 'lz4' },
      });
      const stock = await startStockMount(metaUrl);
      try {
        await mkdir(join(stock.mountpoint, 'd'));
        await writeFile(join(stock.mountpoint, 'd', 'file'), Buffer.alloc(5_000_000, 'theirs'));
      } finally {
        await stock.stop();
      }
      expect(await runStock(['fsck', metaUrl])).toMatchObject({ status: 0 });
      const memory = ['--cache-dir', 'memory', '--memory-cache-size', '64'];
      const ours = await startDaemon({ metaUrl, args: ['--read-write', ...memory] });
      try {
        const found = await readFile(join(ours.mountpoint, 'd', 'file'));
        expect(found.equals(Buffer.alloc(5_000_000, 'theirs'))).toBe(true);
      } finally {
        await ours.stop();
      }
    },
  );

  test('is changed where that can be, refused where not, and left alone when asked to', async () => {
    const { metaUrl, bucket } = place(engine);
    const words = ['format', metaUrl, 'volume', '--bucket', bucket, '--json'];
    const made = JSON.parse((await runCli(words)).stdout) as Record<string, unknown>;
    const changed = await runCli([...words, '--trash-days', '9', '--capacity', '2T']);
    expect(JSON.parse(changed.stdout)).toEqual({
      ...made,
      ...{ trashDays: 9, capacityBytes: String(2 ** 41) },
    });
    const before = await contentOf(metaUrl);
    const refused = await runCli([...words, '--block-size', '1M']);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('BlockSize 4096, which cannot become 1024');
    const left = await runCli([...words, '--no-update', '--trash-days', '1']);
    expect(JSON.parse(left.stdout)).toMatchObject({ uuid: made['uuid'], trashDays: 9 });
    expect(await contentOf(metaUrl)).toEqual(before);
  });
});

test('a bucket that holds another volume is refused, for a new volume and for one that is there', async () => {
  const [one, other] = [place('sqlite'), place('sqlite')];
  for (const { metaUrl, bucket } of [one, other])
    await format(metaUrl, 'volume', '--bucket', bucket);
  const [moved, added] = await Promise.all(
    [one.metaUrl, place('sqlite').metaUrl].map((metaUrl) =>
      runCli(['format', metaUrl, 'volume', '--bucket', other.bucket]),
    ),
  );
  expect(moved).toMatchObject({ status: 1 });
  expect(moved?.stderr).toContain('belongs to another volume');
  expect(added).toMatchObject({ status: 1 });
  const uuid = await readFile(join(other.bucket, 'volume', 'juicefs_uuid'), 'utf8');
  expect(added?.stderr).toContain(`(of the volume ${uuid})`);
});

test('an encrypted volume hides its mark and its key, and needs the passphrase', async () => {
  const { metaUrl, bucket } = place('sqlite');
  const pem = join(dir, 'key.pem');
  const key = ['genrsa', '-aes256', '-passout', 'pass:secret', '-out', pem, '2048'];
  execFileSync('openssl', key, { stdio: 'ignore' });
  const words = ['format', metaUrl, 'volume', '--bucket', bucket, '--encrypt-rsa-key', pem];
  const without = await runCli(words);
  expect(without).toMatchObject({ status: 1 });
  expect(without.stderr).toContain('JFS_RSA_PASSPHRASE');
  const env = { JFS_RSA_PASSPHRASE: 'secret' };
  expect(await runCli(words, env)).toMatchObject({ status: 0, stderr: '' });
  const content = await readFile(join(bucket, 'volume', 'juicefs_uuid'), 'latin1');
  expect(content.length).toBeGreaterThan(256);
  const database = await readFile(metaUrl.slice('sqlite3://'.length), 'latin1');
  expect(database).not.toContain('RSA PRIVATE KEY');
  if (!hasStock) return;
  const stock = await startStockMount(metaUrl, env);
  try {
    await writeFile(join(stock.mountpoint, 'file'), 'theirs');
  } finally {
    await stock.stop();
  }
  expect(await runStock(['fsck', metaUrl], env)).toMatchObject({ status: 0 });
});

test('what is wrong is named, and nothing is made', async () => {
  const wrong: readonly (readonly [words: readonly string[], message: string])[] = [
    [['V', '--bucket', '/tmp/b'], 'NAME: "V"'],
    [['vol', '--block-size', '5M'], '--block-size: "5M"'],
    [['vol', '--compress', 'gzip'], '--compress: "gzip"'],
    [['vol', '--trash-days', '-1'], '--trash-days: "-1"'],
    [['vol', '--storage', 's3'], '--bucket'],
    [['vol', '--storage', 'gs', '--bucket', 'b'], "storage 'gs'"],
    [['vol', '--encrypt-rsa-key', '/nothing'], '--encrypt-rsa-key: ENOENT'],
    [['vol', '--shards', '2', '--bucket', '/tmp/b'], 'needs one %d'],
  ];
  const { metaUrl } = place('sqlite');
  const runs = wrong.map(([words]) => runCli(['format', metaUrl, ...words]));
  (await Promise.all(runs)).forEach(({ status, stderr }, index) => {
    expect(status).not.toBe(0);
    expect(stderr).toContain(wrong[index]?.[1]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
  expect(await readdir(dir)).not.toContain(metaUrl.split('/').at(-1));
});
