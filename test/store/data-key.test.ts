import { generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadDataKey } from '../../src/store/data-key.ts';
import { FIXTURE_PASSPHRASE, fixtureDir } from '../servers/fixtures.ts';

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const secret = Buffer.alloc(32, 5);
const wrapped = publicEncrypt(
  { key: pair.publicKey, oaepHash: 'sha256', oaepLabel: Buffer.from('keys') },
  secret,
);

describe("a volume's private key", () => {
  const plain = { format: 'pem' } as const;
  const locked = { format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p w' } as const;

  test.each([
    ['plain PKCS#8', { type: 'pkcs8', ...plain }, undefined],
    ['plain PKCS#1', { type: 'pkcs1', ...plain }, undefined],
    ['plain PKCS#1 with a passphrase that is not needed', { type: 'pkcs1', ...plain }, 'p w'],
    ['encrypted PKCS#8', { type: 'pkcs8', ...locked }, 'p w'],
    ['traditional encrypted', { type: 'pkcs1', ...locked }, 'p w'],
  ] as const)('%s opens data keys', async (_, options, passphrase) => {
    const dataKey = loadDataKey(pair.privateKey.export(options).toString(), passphrase);
    expect(dataKey.wrappedBytes).toBe(256);
    expect(Buffer.from(await dataKey.unwrap(new Uint8Array(wrapped)))).toEqual(secret);
    await expect(dataKey.unwrap(new Uint8Array(256))).rejects.toMatchObject({
      name: 'OperationError',
    });
  });

  test.each(['pkcs8', 'pkcs1'] as const)('encrypted %s needs the right passphrase', (type) => {
    const pem = pair.privateKey.export({ type, ...locked }).toString();
    for (const missing of [undefined, '']) {
      expect(() => loadDataKey(pem, missing)).toThrow('set JFS_RSA_PASSPHRASE');
    }
    expect(() => loadDataKey(pem, 'wrong')).toThrow(
      expect.objectContaining({
        code: 'bad-config',
        message: expect.stringMatching(/wrong passphrase|cannot load/),
      }),
    );
  });

  test.each([
    ['encrypted-aes', 256],
    ['encrypted-chacha', 384],
  ] as const)('the key of %s, written by openssl', async (volume, wrappedBytes) => {
    const pem = await readFile(join(fixtureDir(volume), 'key.pem'), 'utf8');
    expect(loadDataKey(pem, FIXTURE_PASSPHRASE).wrappedBytes).toBe(wrappedBytes);
    expect(() => loadDataKey(pem, undefined)).toThrow('set JFS_RSA_PASSPHRASE');
    expect(() => loadDataKey(pem, 'no')).toThrow('wrong passphrase');
  });

  test('what is no RSA key is refused', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => loadDataKey(pem, undefined)).toThrow('only RSA is supported');
    expect(() => loadDataKey('nonsense', undefined)).toThrow('cannot load');
  });
});
