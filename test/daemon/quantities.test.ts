import { describe, expect, test } from 'vitest';
import { parseMountInfo } from '../../src/daemon/mount-table.ts';
import {
  parseAddress,
  parseChoice,
  parseDuration,
  parseRatio,
  parseSize,
  parseWhole,
} from '../../src/daemon/quantities.ts';

describe('what users type', () => {
  test.each([
    ['300', 300 * 2 ** 20],
    ['300M', 300 * 2 ** 20],
    ['1.5G', 1.5 * 2 ** 30],
    ['2TiB', 2 * 2 ** 40],
    ['64k', 64 * 2 ** 10],
    ['0', 0],
  ])('size %s', (text, bytes) => expect(parseSize('--x', text)).toBe(bytes));
  test.each(['', '-1', '5X', 'M', '1e3', '9999999999P'])('size %s is refused', (text) =>
    expect(() => parseSize('--x', text)).toThrow(/^--x: /),
  );
  test.each([
    ['1', 1000],
    ['0.5', 500],
    ['250ms', 250],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('duration %s', (text, ms) => expect(parseDuration('--x', text)).toBe(ms));
  test.each(['', '-1s', 'soon', '1 s'])('duration %s is refused', (text) =>
    expect(() => parseDuration('--x', text)).toThrow(/^--x: /),
  );
  test('addresses', () => {
    expect(parseAddress('--x', '127.0.0.1:80')).toEqual({ host: '127.0.0.1', port: 80 });
    expect(parseAddress('--x', '[::1]:0')).toEqual({ host: '::1', port: 0 });
    expect(parseAddress('--x', ':9567')).toEqual({ host: '0.0.0.0', port: 9567 });
    expect(() => parseAddress('--x', 'host')).toThrow('--x');
    expect(() => parseAddress('--x', 'h:70000')).toThrow('--x');
  });
  test('numbers, ratios and choices name the option', () => {
    expect(parseWhole('--n', '5', { min: 0, max: 5 })).toBe(5);
    expect(() => parseWhole('--n', '6', { min: 0, max: 5 })).toThrow('from 0 to 5');
    expect(parseRatio('--r', '0.1')).toBe(0.1);
    expect(() => parseRatio('--r', '1')).toThrow('--r');
    expect(() => parseRatio('--r', '')).toThrow('--r');
    expect(parseChoice('--c', 'b', ['a', 'b'])).toBe('b');
    expect(() => parseChoice('--c', 'd', ['a', 'b'])).toThrow('a, b');
  });
});

test('mountinfo: only our mounts, with escapes undone', () => {
  const text = [
    '22 1 0:21 / / rw - ext4 /dev/vda rw',
    '90 22 0:51 / /mnt/with\\040blank rw,nosuid - fuse.cachemesh cachemesh:vol rw,user_id=0',
    '91 22 0:52 / /mnt/jfs rw - fuse.juicefs JuiceFS:vol rw',
  ].join('\n');
  expect(parseMountInfo(text)).toEqual([
    { mountpoint: '/mnt/with blank', source: 'cachemesh:vol' },
  ]);
});
