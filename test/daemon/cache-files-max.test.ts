import { expect, test } from 'vitest';
import { cacheFilesMax, filesOf } from '../../src/daemon/cache-files-max.ts';

const row = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max processes             95000                95000                processes \n` +
  `Max open files            ${soft.padEnd(20)} 524288               files     \n`;

test.each([
  ['524288', 16_384],
  ['unlimited', 16_384],
  ['20000', 14_000],
  ['1024', 716],
])('with %s descriptors so many cache files may be open', (soft, files) =>
  expect(filesOf(row(soft))).toBe(files),
);

test('where the limit is unknown the usual one is believed', () => expect(filesOf('')).toBe(716));

test('this process has a limit', () => {
  expect(cacheFilesMax()).toBeGreaterThan(0);
  expect(cacheFilesMax()).toBeLessThanOrEqual(16_384);
});
