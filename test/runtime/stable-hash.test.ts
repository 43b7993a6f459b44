import { expect, test } from 'vitest';
import { hashText, mix32, wordOf } from '../../src/runtime/stable-hash.ts';

test('the hash is the same as in every release', () => {
  expect([0, 1, 0xffffffff].map(mix32)).toEqual([0, 1364076727, 2180083513]);
  expect(hashText('', 0)).toBe(3144930883);
  expect(hashText('', 1)).toBe(1079277285);
  expect(hashText('a', 0)).toBe(2180424383);
  expect(hashText('123_0_4194304', 0)).toBe(4110603034);
  expect(hashText('123_0_4194304', 1)).toBe(2908850685);
  expect([0, 1, 20].map((index) => wordOf(1, 2, index))).toEqual([
    1364076727, 614249093, 2534094901,
  ]);
});

test('each input bit flips about half of the output bits', () => {
  let flipped = 0;
  const rounds = 2000;
  for (let round = 0; round < rounds; round += 1) {
    const text = `${round}_0_4194304`;
    const other = `${text.slice(0, -1)}${String.fromCharCode(text.charCodeAt(text.length - 1) ^ 1)}`;
    let difference = hashText(text, 7) ^ hashText(other, 7);
    for (; difference !== 0; difference &= difference - 1) flipped += 1;
  }
  expect(flipped / rounds).toBeGreaterThan(15.5);
  expect(flipped / rounds).toBeLessThan(16.5);
});
