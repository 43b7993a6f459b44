import { expect, test } from 'vitest';
import { isVolumeObject } from '../../src/daemon/volume-objects.ts';

const PLAIN = { volumeName: 'vol', hashPrefix: false };
const HASHED = { volumeName: 'vol', hashPrefix: true };

test.each([
  'vol/juicefs_uuid',
  'vol/chunks/0/1/1234_0_4096',
  'vol/chunks/0/1/.jfs.1234_0_4096.tmp.77',
  'vol/meta/dump-2026-01-02-030405.json.gz',
  'vol/testing/abc1234567',
  'vol/',
  'vol/chunks/',
  'vol/chunks/0/1/',
  'vol/meta/',
])("%s is a volume's", (key) => {
  expect(isVolumeObject(PLAIN, key)).toBe(true);
});

test.each([
  'volume/juicefs_uuid',
  'juicefs_uuid',
  'vol/chunks/0/2/1234_0_4096',
  'vol/chunks/D2/0/1234_0_4096',
  'vol/chunks/0/1/notes',
  'vol/chunks/0/1/.jfs.notes.tmp.77',
  'vol/meta/notes.txt',
  'vol/meta/dump-2026.json.gz/more',
  'vol/other/',
  'vol/file',
  'other/vol/chunks/0/1/1234_0_4096',
])('%s is not', (key) => {
  expect(isVolumeObject(PLAIN, key)).toBe(false);
});

test('names go by the way in which the volume makes them', () => {
  expect(isVolumeObject(HASHED, 'vol/chunks/D2/0/1234_0_4096')).toBe(true);
  expect(isVolumeObject(HASHED, 'vol/chunks/0/1/1234_0_4096')).toBe(false);
});
