import { describe, expect, test } from 'vitest';
import { chunkPathOf, fnv1a32, objectKeyOf, shardOf } from '../../src/block/object-key.ts';

describe('object keys', () => {
  const plain = { volumeName: 'jfstest', hashPrefix: false };
  const hashed = { volumeName: 'jfstest', hashPrefix: true };

  test.each([
    [{ sliceId: 1n, index: 2, sizeBytes: 2097152 }, 'jfstest/chunks/0/0/1_2_2097152'],
    [
      { sliceId: 1234567n, index: 0, sizeBytes: 4194304 },
      'jfstest/chunks/1/1234/1234567_0_4194304',
    ],
    [
      { sliceId: 9223372036854775807n, index: 0, sizeBytes: 1 },
      'jfstest/chunks/9223372036854/9223372036854775/9223372036854775807_0_1',
    ],
  ])('without hash prefix', (key, name) => {
    expect(objectKeyOf(plain, key)).toBe(name);
    expect(`jfstest/${chunkPathOf(false, key)}`).toBe(name);
  });

  test.each([
    [{ sliceId: 1234567n, index: 0, sizeBytes: 4194304 }, 'jfstest/chunks/87/1/1234567_0_4194304'],
    [{ sliceId: 10n, index: 0, sizeBytes: 1 }, 'jfstest/chunks/0A/0/10_0_1'],
  ])('with hash prefix: two upper-case digits', (key, name) => {
    expect(objectKeyOf(hashed, key)).toBe(name);
  });
});

describe('the shard of an object', () => {
  test('is FNV-1a of the full key', () => {
    expect(fnv1a32('')).toBe(2166136261);
    expect(fnv1a32('foobar')).toBe(0xbf9cf968);
    expect(fnv1a32('jfstest/chunks/0/0/1_0_4194304')).toBe(2758478258);
    expect(shardOf('jfstest/chunks/0/0/1_0_4194304', 4)).toBe(2);
    expect(shardOf('jfstest/chunks/0/12/12345_1_4194304', 4)).toBe(0);
    expect(shardOf('anything', 1)).toBe(0);
  });
});
