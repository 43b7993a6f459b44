import koffi from 'koffi';

/** System calls that Node lacks, for looking at a mount from outside. Paths are raw bytes. */
const libc = koffi.load('libc.so.6');
const lgetxattr = libc.func(
  'int64 lgetxattr(const uint8_t *path, const uint8_t *name, uint8_t *value, size_t size)',
);
const llistxattr = libc.func('int64 llistxattr(const uint8_t *path, uint8_t *list, size_t size)');
const VALUE_BYTES_MAX = 65_536;

/** What the hourly directories of the trash answer, as real clients do. @see asm-generic/errno.h */
const ENODATA = 61;

/** Names of a file's extended attributes, sorted; symlinks are not followed. @throws with the errno */
export function listXattrs(path: Uint8Array): string[] {
  const list = Buffer.alloc(VALUE_BYTES_MAX);
  const length = Number(llistxattr(terminated(path), list, list.length));
  if (length < 0 && koffi.errno() === ENODATA) return [];
  if (length < 0) throw new Error(`llistxattr: errno ${koffi.errno()}`);
  const names = list.subarray(0, length).toString('utf8').split('\0');
  return names.filter((name) => name !== '').toSorted();
}

/** An extended attribute's value, or the errno when there is none. */
export function getXattr(path: Uint8Array, name: string): Buffer | number {
  const value = Buffer.alloc(VALUE_BYTES_MAX);
  const length = Number(
    lgetxattr(terminated(path), terminated(Buffer.from(name)), value, value.length),
  );
  return length < 0 ? koffi.errno() : value.subarray(0, length);
}

function terminated(path: Uint8Array): Buffer {
  return Buffer.concat([path, Buffer.alloc(1)]);
}
