import { FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { MetaReader } from '../engine.ts';
import { directoryEntries } from './directory-entries.ts';
import type { DirStats, Usage } from './meta-tx.ts';
import { contentLength, spaceOf, spaceOfLength } from './node-space.ts';

/** Sums up the direct children of a directory. */
export async function sumDirectory(
  meta: MetaReader,
  dir: Ino,
  signal: AbortSignal,
): Promise<DirStats> {
  let sum = { length: 0n, space: 0n, inodes: 0n };
  for await (const { attr } of entriesOf(meta, dir, signal)) {
    const length = attr === undefined ? 0n : contentLength(attr);
    sum = {
      length: sum.length + length,
      space: sum.space + spaceOfLength(length),
      inodes: sum.inodes + 1n,
    };
  }
  return sum;
}

/** Sums up a directory with everything below it, itself included. A file counts once per name. */
export async function sumTree(meta: MetaReader, root: Ino, signal: AbortSignal): Promise<Usage> {
  let space = spaceOfLength(0n);
  let inodes = 1n;
  const left: Ino[] = [root];
  for (let dir = left.pop(); dir !== undefined; dir = left.pop()) {
    for await (const { ino, type, attr } of entriesOf(meta, dir, signal)) {
      if (attr === undefined) continue;
      space += spaceOf(attr);
      inodes += 1n;
      if (type === FileType.directory) left.push(ino);
    }
  }
  return { space, inodes };
}

function entriesOf(meta: MetaReader, dir: Ino, signal: AbortSignal) {
  return directoryEntries(meta, { dir, withAttrs: true, unique: true }, signal);
}
