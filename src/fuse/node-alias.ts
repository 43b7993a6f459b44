import { type Ino, toIno } from '../posix/ino.ts';

/*
 * For the kernel an open inode is either one that it reads by itself or one that it asks us about. When
 * that has to change while somebody has the inode open, the inode gets another number: for the kernel
 * that is another inode, which nobody has open.
 *
 * A number is 2^62 + alias × 2^40 + inode. Special inodes are above all of them, others below.
 */
const BASE = 1n << 62n;
const ALIAS_SHIFT = 40n;
const INODE_MASK = (1n << ALIAS_SHIFT) - 1n;
const END = BASE + (1n << 61n);

/** Aliases are numbered from 1 to this. */
export const ALIAS_MAX = 2 ** 21 - 1;

/** Whether an inode can have aliases: its number is below 2^40. */
export function mayHaveAlias(ino: Ino): boolean {
  return ino <= INODE_MASK;
}

/** Another number for an inode that may have one. @param alias - 1 … {@link ALIAS_MAX} */
export function aliasOf(ino: Ino, alias: number): Ino {
  return toIno(BASE | (BigInt(alias) << ALIAS_SHIFT) | ino);
}

/** The inode that a number of the kernel's means: what it is an alias of, or itself. */
export function inodeOf(node: Ino): Ino {
  return node >= BASE && node < END ? toIno(node & INODE_MASK) : node;
}
