import { constants, type BigIntStats } from 'node:fs';
import type { UtimeSpec } from './system-calls.ts';

/** @see bits/stat.h */
const UTIME_NOW = 0x3fff_ffffn;
const UTIME_OMIT = 0x3fff_fffen;
/** Flags of open(2). */
export const FLAGS: Readonly<Record<string, number>> = {
  ...{ r: constants.O_RDONLY, w: constants.O_WRONLY, rw: constants.O_RDWR },
  ...{ creat: constants.O_CREAT, excl: constants.O_EXCL, trunc: constants.O_TRUNC },
  ...{ append: constants.O_APPEND, dir: constants.O_DIRECTORY, nofollow: constants.O_NOFOLLOW },
  ...{ nonblock: constants.O_NONBLOCK, sync: constants.O_SYNC, path: 0o10_000_000 },
  ...{ noatime: constants.O_NOATIME },
};
/** Flags of renameat2(2), good and bad. */
export const RENAME_FLAGS: Readonly<Record<string, number>> = {
  ...{ noreplace: 1, exchange: 2, both: 3, whiteout: 4, unknown: 64 },
};
/** Modes of fallocate(2). */
export const ALLOCATE_FLAGS: Readonly<Record<string, number>> = {
  ...{ plain: 0, keep: 1, punch: 2, punchkeep: 3, collapse: 8, zero: 16, zerokeep: 17, insert: 32 },
};
/** File types of mknod(2). */
export const TYPES: Readonly<Record<string, number>> = {
  ...{ file: constants.S_IFREG, fifo: constants.S_IFIFO, sock: constants.S_IFSOCK },
  ...{ chr: constants.S_IFCHR, blk: constants.S_IFBLK, dir: constants.S_IFDIR },
};
/** Record locks by F_RDLCK, F_WRLCK and F_UNLCK. */
export const RECORD_TYPES = ['r', 'w', 'u'];
/** Flags of setxattr(2). */
export const XATTR_FLAGS: Readonly<Record<string, number>> = { create: 1, replace: 2 };
/** Operations of flock(2), without waiting. */
export const LOCKS: Readonly<Record<string, number>> = { sh: 1 | 4, ex: 2 | 4, un: 8 };
/** Where lseek(2) starts. */
export const WHENCE: Readonly<Record<string, number>> = {
  set: 0,
  cur: 1,
  end: 2,
  data: 3,
  hole: 4,
};

/** A mode. */
export function octal(word: string | undefined): number {
  return Number.parseInt(word ?? '', 8);
}

/** Words with `|` between them as a number. @throws Error that lists what is known */
export function flagsOf(words: string, known: Readonly<Record<string, number>>): number {
  return words.split('|').reduce((all, word) => {
    const bit = known[word];
    if (bit === undefined) throw new Error(`${word} is not one of ${Object.keys(known).join()}`);
    return all | bit;
  }, 0);
}

/** `mode,uid,size` of something. */
export function fields(stats: BigIntStats, names = ''): string {
  return names
    .split(',')
    .map((name) => {
      if (name === 'mode') return (Number(stats.mode) & 0o7777).toString(8);
      if (name === 'type') return Object.keys(TYPES).find((key) => isType(stats, key)) ?? 'link';
      if (name === 'rdev') return `${(stats.rdev >> 8n) & 0xfffn}:${stats.rdev & 0xffn}`;
      if (name === 'equaltimes') return String(new Set(timesOf(stats)).size === 1);
      if (name.endsWith('time')) return timeText(stats[`${name as 'atime'}Ns`]);
      return String(stats[name as 'uid']);
    })
    .join();
}

function timesOf({ atimeNs, mtimeNs, ctimeNs }: BigIntStats): readonly bigint[] {
  return [atimeNs, mtimeNs, ctimeNs];
}

function isType(stats: BigIntStats, name: string): boolean {
  return (Number(stats.mode) & constants.S_IFMT) === TYPES[name];
}

function timeText(ns: bigint): string {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return `${(ns - rest) / 1_000_000_000n}.${String(rest).padStart(9, '0')}`;
}

/** `SECONDS.NANOSECONDS`, `now` or `omit`. */
export function timeOf(word = ''): UtimeSpec {
  if (word === 'now') return [0n, UTIME_NOW];
  if (word === 'omit') return [0n, UTIME_OMIT];
  const [seconds = '', rest = ''] = word.split('.');
  return [BigInt(seconds), BigInt(rest.padEnd(9, '0'))];
}
