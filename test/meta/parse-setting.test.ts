import { describe, expect, it } from 'vitest';
import { parseSetting } from '../../src/meta/parse-setting.ts';
import { SETTING, settingBytes } from './setting-json.ts';

const parse = (changes: object) => parseSetting(settingBytes({ ...SETTING, ...changes }));
const errorOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error;
  }
};

describe('parseSetting', () => {
  it('reads every field', () => {
    expect(parse({ Future: [1] })).toEqual({
      name: 'myvolume',
      uuid: SETTING.UUID,
      storage: 's3',
      bucket: SETTING.Bucket,
      accessKey: 'access',
      secretKey: '',
      sessionToken: '',
      blockBytes: 4 << 20,
      compression: 'lz4',
      shards: 1,
      hashPrefix: false,
      capacityBytes: 0n,
      inodesMax: 0n,
      encryptKeyPem: undefined,
      encryptAlgo: 'aes256gcm-rsa',
      trashDays: 1,
      metaVersion: 1,
      enableAcl: false,
      dirStats: true,
      userGroupQuota: false,
      changeLog: false,
      raw: { ...SETTING, Future: [1] },
    });
  });

  it('takes null for absent, and absent for the default', () => {
    const { Name, UUID, BlockSize } = SETTING;
    const setting = parseSetting(settingBytes({ Name, UUID, BlockSize, Compression: null }));
    expect(setting).toMatchObject({
      storage: 'file',
      compression: 'none',
      metaVersion: 0,
      trashDays: 0,
      dirStats: false,
    });
  });

  it('keeps all digits of 64-bit limits', () => {
    const json = JSON.stringify(SETTING).replace(
      '{',
      '{"Capacity":18446744073709551615,"Inodes":9007199254740993,',
    );
    const setting = parseSetting(new TextEncoder().encode(json));
    expect(setting.capacityBytes).toBe(18_446_744_073_709_551_615n);
    expect(setting.inodesMax).toBe(9_007_199_254_740_993n);
  });

  it('opens secrets when they are encrypted, and only then', () => {
    const SecretKey = '/AGh56Qbhr/zoJBDtCz7meHTdsLzrdOs+fCE2nmpefAQUyxCPA==';
    expect(parse({ SecretKey, KeyEncrypted: true }).secretKey).toBe('sk-secret');
    expect(parse({ SecretKey }).secretKey).toBe(SecretKey);
  });

  it.each([
    ['MetaVersion', { MetaVersion: 2 }],
    ['MinClientVersion', { MinClientVersion: '1.4.2' }],
    ['MinClientVersion', { MinClientVersion: '1.5.0-A' }],
    ['MaxClientVersion', { MaxClientVersion: '1.4.0' }],
    ['MaxClientVersion', { MaxClientVersion: '1.4.1-rc1' }],
    ['Compression', { Compression: 'brotli' }],
    ['EncryptAlgo', { EncryptAlgo: 'rot13' }],
    ['sm4gcm', { EncryptAlgo: 'sm4gcm' }],
  ])('refuses a volume that is not for us: %s', (what, changes) => {
    expect(errorOf(() => parse(changes))).toMatchObject({
      code: 'incompatible',
      message: expect.stringContaining(what),
    });
  });

  it('gates before it looks at anything else', () => {
    const future = { MetaVersion: 2, Name: { parts: [] } };
    expect(errorOf(() => parse(future))).toMatchObject({ code: 'incompatible' });
  });

  it.each([
    { MinClientVersion: '1.4.1' },
    { MaxClientVersion: '1.4.1' },
    { MaxClientVersion: '9' },
  ])('accepts a volume that is for us: %j', (changes) => {
    expect(parse(changes).name).toBe('myvolume');
  });

  it.each([
    ['Name', { Name: 'ab' }],
    ['Name', { Name: '../../etc' }],
    ['Name', { Name: 17 }],
    ['UUID', { UUID: '' }],
    ['UUID', { UUID: '../11111111-2222-3333-4444-555555555555' }],
    ['Storage', { Storage: 'a/b' }],
    ['Bucket', { Bucket: [] }],
    ['BlockSize', { BlockSize: 0 }],
    ['BlockSize', { BlockSize: 4097 }],
    ['BlockSize', { BlockSize: 32 }],
    ['BlockSize', { BlockSize: 32_768 }],
    ['BlockSize', { BlockSize: '4096' }],
    ['Shards', { Shards: 257 }],
    ['Shards', { Shards: -1 }],
    ['HashPrefix', { HashPrefix: 1 }],
    ['Capacity', { Capacity: -1 }],
    ['Capacity', { Capacity: 1.5 }],
    ['Inodes', { Inodes: 'many' }],
    ['TrashDays', { TrashDays: -1 }],
    ['MetaVersion', { MetaVersion: 'one' }],
    ['MinClientVersion', { MinClientVersion: 'new' }],
    ['EnableACL', { EnableACL: 'yes' }],
    ['SecretKey', { SecretKey: 'x', KeyEncrypted: true }],
    ['EncryptKey', { EncryptKey: 'removed', KeyEncrypted: true }],
  ])('names the field that makes no sense: %s', (field, changes) => {
    expect(errorOf(() => parse(changes))).toMatchObject({
      name: 'MetaError',
      code: 'bad-setting',
      message: expect.stringContaining(field),
    });
  });

  it.each(['', '{', '[]', 'null', '17', '"x"', '\u0000'])('refuses %j', (json) => {
    const bytes = new TextEncoder().encode(json);
    expect(errorOf(() => parseSetting(bytes))).toMatchObject({ code: 'bad-setting' });
  });
});
