import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { groupKeyOf } from '../../src/daemon/group-secret.ts';
import type { VolumeSetting } from '../../src/meta/setting.ts';
import { recordingLogger } from '../servers/recording-logger.ts';
import { makeTempDir } from '../servers/temp.ts';

const SETTING = {
  uuid: '7C8E5D1C-0000-4000-8000-000000000000',
  storage: 's3',
  accessKey: 'access',
  secretKey: 'secret of the object store',
  sessionToken: '',
  encryptKeyPem: undefined,
} as VolumeSetting;

let dir: string;
let files = 0;
beforeAll(async () => {
  dir = await makeTempDir('secret');
});

async function secretFile(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(dir, `secret-${(files += 1)}`);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

/** The key's bytes, and what was logged. */
async function keyOf(file: string | undefined, change: Partial<VolumeSetting> = {}) {
  const { logger, lines } = recordingLogger();
  const key = await groupKeyOf(file, { ...SETTING, ...change }, logger);
  return { hex: key.export().toString('hex'), lines };
}

describe('without a file', () => {
  test('all who read the same setting have the same key, and nobody is warned', async () => {
    const first = await keyOf(undefined);
    const lowerCase = await keyOf(undefined, { uuid: SETTING.uuid.toLowerCase() });
    expect(lowerCase.hex).toBe(first.hex);
    expect(first.lines).toEqual([]);
    expect(first.hex).not.toContain(Buffer.from(SETTING.secretKey).toString('hex'));
  });

  test('what changes without need changes no key', async () => {
    const { hex } = await keyOf(undefined);
    const change = { sessionToken: 'new every hour', accessKey: 'shown by juicefs status' };
    expect((await keyOf(undefined, change)).hex).toBe(hex);
  });

  test('another secret, another volume and the key for data encryption give other keys', async () => {
    const pem = '-----BEGIN PRIVATE KEY-----';
    const keys = await Promise.all([
      keyOf(undefined),
      keyOf(undefined, { secretKey: 'another' }),
      keyOf(undefined, { uuid: '11111111-0000-4000-8000-000000000000' }),
      keyOf(undefined, { encryptKeyPem: pem }),
      // The same text as another kind of secret is another secret.
      keyOf(undefined, { secretKey: pem }),
    ]);
    expect(new Set(keys.map(({ hex }) => hex)).size).toBe(keys.length);
    // It never changes, so the other one may.
    const rotated = await keyOf(undefined, { encryptKeyPem: pem, secretKey: 'rotated' });
    expect(rotated.hex).toBe(keys[3]?.hex);
  });

  test.each([
    ['no secret', { secretKey: '' }],
    ['the name of a user of Ceph', { storage: 'ceph' }],
  ])('a volume with %s gives a warning', async (_, change) => {
    const { hex, lines } = await keyOf(undefined, change);
    expect(lines).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/holds no secret/) },
    ]);
    expect((await keyOf(undefined, { ...change, accessKey: 'x' })).hex).toBe(hex);
  });
});

describe('with a file', () => {
  const SECRET = 'sixteen bytes or more';

  test('spaces at its ends do not count, its content and the volume do, the setting does not', async () => {
    const keys = await Promise.all([
      keyOf(await secretFile(SECRET)),
      keyOf(await secretFile(`\n  ${SECRET}\r\n`)),
      keyOf(await secretFile(SECRET), { secretKey: 'rotated', encryptKeyPem: 'pem' }),
    ]);
    expect(new Set(keys.map(({ hex }) => hex)).size).toBe(1);
    const others = await Promise.all([
      keyOf(await secretFile(`${SECRET}.`)),
      keyOf(await secretFile(SECRET), { uuid: '11111111-0000-4000-8000-000000000000' }),
      keyOf(undefined, { secretKey: SECRET }),
    ]);
    const all = [keys[0], ...others].map((each) => each?.hex);
    expect(new Set(all).size).toBe(4);
    expect(keys.flatMap(({ lines }) => lines)).toEqual([]);
  });

  test.each([0o640, 0o604, 0o644])('mode %o gives a warning that names it', async (mode) => {
    const path = await secretFile(SECRET, mode);
    const { lines } = await keyOf(path);
    expect(lines).toMatchObject([
      { level: 'warn', fields: { path }, message: expect.stringMatching(/chmod 600/) },
    ]);
  });

  test.each([
    ['empty', '', /is empty/],
    ['all spaces', ' \n\t ', /is empty/],
    ['15 bytes', 'x'.repeat(15), /less than 16 bytes.*openssl rand/],
    ['more than 64 KiB', 'x'.repeat(65_537), /larger than 64 KiB/],
  ])('%s is of no use', async (_, content, message) => {
    const path = await secretFile(content);
    const failed = keyOf(path);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining(path),
    });
  });

  test.each(['/nowhere/secret', '/'])('%s cannot be read', async (path) => {
    await expect(keyOf(path)).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringMatching(/cannot be read/),
    });
  });
});
