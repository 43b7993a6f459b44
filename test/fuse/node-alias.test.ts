import { expect, test } from 'vitest';
import { ALIAS_MAX, aliasOf, inodeOf, mayHaveAlias } from '../../src/fuse/node-alias.ts';
import { ROOT_INO, SPECIAL_INO, TRASH_INO, toIno } from '../../src/posix/ino.ts';

const LARGEST = toIno(2n ** 40n - 1n);

test('an alias leads to its inode, and is no other inode', () => {
  const aliases = [1n, 2n, LARGEST].flatMap((ino) =>
    [1, 2, ALIAS_MAX].map((alias) => ({ ino: toIno(ino), node: aliasOf(toIno(ino), alias) })),
  );
  expect(aliases.map(({ node }) => inodeOf(node))).toEqual(aliases.map(({ ino }) => ino));
  expect(new Set(aliases.map(({ node }) => node)).size).toBe(aliases.length);
  for (const { node } of aliases) {
    expect(node).toBeGreaterThan(2n ** 62n);
    expect(node).toBeLessThan(SPECIAL_INO);
  }
});

test('all other inodes are themselves', () => {
  for (const ino of [
    ROOT_INO,
    LARGEST,
    toIno(2n ** 40n),
    toIno(2n ** 53n),
    SPECIAL_INO,
    TRASH_INO,
  ]) {
    expect(inodeOf(ino)).toBe(ino);
  }
  expect([mayHaveAlias(LARGEST), mayHaveAlias(toIno(2n ** 40n))]).toEqual([true, false]);
});
