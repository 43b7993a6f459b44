import type { Ino } from '../posix/ino.ts';
import type { MetaReader } from './engine.ts';

/** An extended attribute. */
export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** All extended attributes of an inode; one that is removed meanwhile may be missing. @throws MetaError */
export async function allXattrs(
  meta: Pick<MetaReader, 'listxattr' | 'getxattr'>,
  ino: Ino,
  signal: AbortSignal,
): Promise<Xattr[]> {
  const found: Xattr[] = [];
  for (const name of await meta.listxattr(ino, signal)) {
    const value = await meta.getxattr(ino, name, signal);
    if (value !== undefined) found.push({ name, value });
  }
  return found;
}
