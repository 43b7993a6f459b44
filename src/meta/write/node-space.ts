import { type Attr, FileType } from '../../posix/attr.ts';

/** Space is counted in units of so many bytes; a file without content takes one. */
const UNIT_BYTES = 4096n;

/** The space that `length` bytes of a file count as. */
export function spaceOfLength(length: bigint): bigint {
  if (length <= 0n) return UNIT_BYTES;
  return ((length + UNIT_BYTES - 1n) / UNIT_BYTES) * UNIT_BYTES;
}

/** The space that an inode counts as: its content when it is a regular file, else one unit. */
export function spaceOf(attr: Pick<Attr, 'type' | 'length'>): bigint {
  return spaceOfLength(contentLength(attr));
}

/** Bytes of content: 0 for everything but regular files. */
export function contentLength(attr: Pick<Attr, 'type' | 'length'>): bigint {
  return attr.type === FileType.file ? attr.length : 0n;
}
