import { expect, it } from 'vitest';
import { changeSetting, checkFixedFields, newSetting } from '../../src/meta/new-setting.ts';
import { parseSetting } from '../../src/meta/parse-setting.ts';
import { printSetting, readSettingText } from '../../src/meta/setting-text.ts';
import { systemRandom } from '../../src/runtime/random.ts';

/** As `juicefs format` 1.4.1 has stored it, and fields that only a later release knows. */
const STORED = `{
"Name": "volone",
"UUID": "8355be55-5125-4ebf-853a-0edd78c1152d",
"Storage": "s3",
"Tiers": {
"0": {
"ID": 0,
"StorageClass": "",
"Tag": ""
}
},
"Bucket": "http://host/b?a=1\\u0026b=\\u003c2\\u003e",
"AccessKey": "key",
"SecretKey": "e4ckJVNWTBvvtusCEm3m8eQVVNloaB00XLVz6mLfYw==",
"BlockSize": 4096,
"Compression": "lz4",
"HashPrefix": true,
"Capacity": 18446744073709551615,
"EncryptAlgo": "aes256gcm-rsa",
"KeyEncrypted": true,
"TrashDays": 0,
"MetaVersion": 1,
"MinClientVersion": "1.1.0-A",
"DirStats": true,
"EnableACL": false,
"Future": {
"Large": 12345678901234567890,
"Empty": ""
}
}`;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (fields: Readonly<Record<string, unknown>>) =>
  new TextDecoder().decode(printSetting(fields));

it('a setting that is read and written again is the same, letter by letter', () => {
  expect(text(readSettingText(bytes(STORED)))).toBe(STORED);
});

it('a changed field takes its place, and what became empty goes away', () => {
  const before = readSettingText(bytes(STORED));
  const after = changeSetting(before, { Capacity: 0n, Inodes: 7, Bucket: 'b' }, systemRandom);
  const expected = STORED.replace(/"Capacity": \d+/, '"Inodes": 7').replace(/"http.*"/, '"b"');
  expect(text(after)).toBe(expected);
});

it('a new secret is sealed for this volume, and the others stay sealed as they are', () => {
  const before = readSettingText(bytes(STORED));
  const after = changeSetting(before, { SessionToken: 'token' }, systemRandom);
  expect(after['SecretKey']).toBe(before['SecretKey']);
  expect(after['SessionToken']).not.toContain('token');
  const fresh = newSetting(
    { Name: 'volone', Storage: 'file', Bucket: '/b/', BlockSize: 64, SecretKey: 'one' },
    systemRandom,
  );
  const more = changeSetting(fresh, { SessionToken: 'two' }, systemRandom);
  expect(parseSetting(printSetting(more))).toMatchObject({ secretKey: 'one', sessionToken: 'two' });
  const without = changeSetting(more, { SecretKey: '', SessionToken: '' }, systemRandom);
  expect(parseSetting(printSetting(without))).toMatchObject({ secretKey: '', sessionToken: '' });
  expect(without['KeyEncrypted']).toBe(false);
});

it('secrets of a volume that stored them in clear are sealed with the first change', () => {
  const before = readSettingText(bytes(STORED));
  const clear = { ...before, KeyEncrypted: undefined, SecretKey: 'clear' };
  const after = changeSetting(clear, { TrashDays: 2 }, systemRandom);
  expect(after['SecretKey']).not.toContain('clear');
  expect(parseSetting(printSetting(after)).secretKey).toBe('clear');
});

it('switching ACLs on shuts older clients out, and never lets older ones in again', () => {
  const before = readSettingText(bytes(STORED));
  const raised = changeSetting(before, { EnableACL: true }, systemRandom);
  expect(raised['MinClientVersion']).toBe('1.2.0-A');
  const newer = { ...before, MinClientVersion: '1.4.0-A' };
  const kept = changeSetting(newer, { EnableACL: true }, systemRandom);
  expect(kept['MinClientVersion']).toBe('1.4.0-A');
});

it.each([
  ['Name', 'other'],
  ['BlockSize', 1024],
  ['Compression', 'zstd'],
  ['Shards', 2],
  ['HashPrefix', false],
])('%s cannot be changed', (field, value) => {
  const before = readSettingText(bytes(STORED));
  const after = { ...before, [field]: value };
  expect(() => checkFixedFields(before, after)).toThrow(field);
});

it('an absent field and its default are the same', () => {
  const before = readSettingText(bytes(STORED));
  const check = (old: unknown, now: unknown, field: string) => () =>
    checkFixedFields({ ...before, [field]: old }, { ...before, [field]: now });
  expect(check(undefined, 'none', 'Compression')).not.toThrow();
  expect(check(undefined, 0, 'Shards')).not.toThrow();
});

it.each(['', '[]', '{', 'null'])('%j is no setting', (stored) => {
  expect(() => readSettingText(bytes(stored))).toThrow('setting: ');
});
