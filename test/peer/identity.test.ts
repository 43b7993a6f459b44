import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadOrCreateIdentity } from '../../src/peer/identity.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { makeTempDir } from '../servers/temp.ts';

let path: string;
const load = () => loadOrCreateIdentity(path, { random: systemRandom, logger: silentLogger });

beforeEach(async () => {
  path = join(await makeTempDir('identity'), 'state', 'identity');
});

test('the identity stays the same and only its owner may read it', async () => {
  const first = await load();
  expect(first.nodeId).toMatch(/^12D3KooW/);
  expect((await load()).nodeId).toBe(first.nodeId);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(path, '..'))).toEqual(['identity']);
});

test('those that create it at once get the same one', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, load));
  expect(new Set(ids.map(({ nodeId }) => nodeId)).size).toBe(1);
  expect(await readdir(join(path, '..'))).toEqual(['identity']);
});

describe('a damaged file is set aside, and the node is a new one', () => {
  const damages: [string, (text: string) => string][] = [
    ['empty', () => ''],
    ['cut', (text) => text.slice(0, -9)],
    ['another title', (text) => text.replace('v1', 'v9')],
    ['another letter in the key', (text) => text.replace(/\n(.{20})./, (_, head) => `\n${head}A`)],
    ['no base64', (text) => text.replace(/\n./, '\n*')],
    ['something else', () => '-----BEGIN RSA PRIVATE KEY-----\n'],
  ];
  test.each(damages)('%s', async (_, damage) => {
    const before = await load();
    const text = damage(await readFile(path, 'utf8'));
    await writeFile(path, text);
    const after = await load();
    expect(after.nodeId).not.toBe(before.nodeId);
    expect((await load()).nodeId).toBe(after.nodeId);
    expect(await readFile(`${path}.damaged`, 'utf8')).toBe(text);
  });
});

test('a folder that is a file is an error that names the path', async () => {
  await load();
  path = join(path, 'below');
  await expect(load()).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining(path),
  });
  await chmod(join(path, '..'), 0o600);
});
