import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../servers/cli-here.ts';
import { runCli } from '../servers/cli.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';

let dir: string;
let redis: RedisServer;

beforeAll(async () => {
  dir = await makeTempDir('config');
  redis = await startRedis();
});

afterAll(async () => {
  await redis?.stop();
});

/** The stored text. */
async function settingOf(metaUrl: string): Promise<string> {
  if (metaUrl.startsWith('sqlite3://')) {
    const database = new DatabaseSync(metaUrl.slice('sqlite3://'.length), { readOnly: true });
    const row = database.prepare('SELECT value FROM jfs_setting').get();
    database.close();
    return String(row?.['value']);
  }
  const client = new Redis(metaUrl);
  const text = await client.get('setting');
  client.disconnect();
  return text ?? '';
}

/** What differs between two volumes in any case. */
const masked = (text: string) =>
  text
    .replace(/"UUID": "[^"]*"/, 'uuid')
    .replace(/"Bucket": "[^"]*\//, 'bucket')
    .replace(/"SecretKey": "[^"]*"/, 'secret');

describe.each(['redis', 'sqlite'] as const)('the setting of a volume on %s', (engine) => {
  const urlOf = (number: number) =>
    engine === 'redis'
      ? redis.url.replace(/\/0$/, `/${number}`)
      : `sqlite3://${join(dir, `${number}.db`)}`;
  const LIMITS = ['--capacity', '2', '--inodes', '50', '--trash-days', '9', '--enable-acl'];
  const CLIENTS = ['--upload-limit', '100', '--max-client-version', '1.5'];
  const KEYS = ['--access-key', 'one', '--secret-key', 'two'];

  test.skipIf(!hasStock)('is changed as the original client changes it', async () => {
    const stored: string[] = [];
    for (const [number, run] of [runHere, runStock].entries()) {
      const metaUrl = urlOf(2 + number);
      await runHere([
        'format',
        metaUrl,
        'volume',
        '--bucket',
        join(dir, `${engine}-${2 + number}`),
      ]);
      const words = ['config', metaUrl, '--yes', ...LIMITS, ...CLIENTS, ...KEYS];
      expect(await run(words)).toMatchObject({ status: 0 });
      stored.push(masked(await settingOf(metaUrl)));
    }
    // It leaves a key in clear where none was there before; we seal it.
    const theirs = stored[1]?.replace(/("EncryptAlgo": "[^"]*",\n)/, '$1"KeyEncrypted": true,\n');
    expect(stored[0]).toBe(theirs);
  });

  test('tells what was changed and makes the trash that it did not have; secrets are not shown', async () => {
    const metaUrl = urlOf(4);
    const bucket = join(dir, `${engine}-4`);
    const more = ['--trash-days', '0', '--secret-key', 'hidden'];
    await runHere(['format', metaUrl, 'volume', '--bucket', bucket, ...more]);
    const words = ['config', metaUrl, '--trash-days', '2'];
    const changed = await runHere([...words, '--json']);
    expect(JSON.parse(changed.stdout)).toEqual([{ field: 'TrashDays', before: 0, after: 2 }]);
    expect((await runHere(words)).stdout).toContain('nothing was changed');
    const shown = await runHere(['config', metaUrl]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ SecretKey: 'removed', TrashDays: 2 });
    expect(await runHere(['summary', metaUrl, '/.trash'])).toMatchObject({ status: 0 });
  });
});

test('what is dangerous is asked for, what makes no sense is refused, and nothing is changed', async () => {
  const place = (name: string) =>
    [`sqlite3://${join(dir, `${name}.db`)}`, join(dir, name)] as const;
  const [metaUrl, bucket] = place('asked');
  const [otherUrl, otherBucket] = place('other');
  await runHere(['format', metaUrl, 'volume', '--bucket', bucket, '--enable-acl']);
  await runHere(['format', otherUrl, 'volume', '--bucket', otherBucket]);
  await runHere(['quota', 'set', metaUrl, '--path', '/', '--inodes', '9']);
  const before = await settingOf(metaUrl);
  const wrong: readonly (readonly [words: readonly string[], message: string])[] = [
    [['--trash-days', '0'], 'the trash will be emptied'],
    [['--bucket', otherBucket], 'belongs to another volume'],
    [['--min-client-version', '1.0'], 'can only rise'],
    [['--min-client-version', '9.0'], 'MinClientVersion is 9.0'],
    [['--max-client-version', 'x'], '--max-client-version: "x"'],
    [['--dir-stats', 'false'], '1 directories have quotas'],
  ];
  const runs = wrong.map(([words]) => runCli(['config', metaUrl, ...words]));
  (await Promise.all(runs)).forEach(({ status, stderr }, index) => {
    expect(status).not.toBe(0);
    expect(stderr).toContain(wrong[index]?.[1]);
  });
  expect(await settingOf(metaUrl)).toBe(before);
  const nothing = await runHere(['config', `sqlite3://${join(dir, 'nothing.db')}`]);
  expect(nothing.stderr).toContain('holds no volume');
});
