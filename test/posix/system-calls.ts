import koffi from 'koffi';
import { errnoName } from './errno-name.ts';

/** System calls that Node lacks, as synchronous functions that throw an {@link ErrnoError}. */
const libc = koffi.load('libc.so.6');
const AT_FDCWD = -100;

/** A system call that failed. */
export class ErrnoError extends Error {
  /** The error's name: `ENOENT`. */
  readonly code: string;

  constructor(errno: number) {
    const code = errnoName(errno);
    super(code);
    this.code = code;
  }
}

const mknodat = libc.func('int mknodat(int, const char *, uint32, uint64)');
const renameat2 = libc.func('int renameat2(int, const char *, int, const char *, uint32)');
const linkat = libc.func('int linkat(int, const char *, int, const char *, int)');
const fallocate_ = libc.func('int fallocate(int, int, int64, int64)');
const lsetxattr = libc.func('int lsetxattr(const char *, const char *, const void *, size_t, int)');
const lgetxattr = libc.func('int64 lgetxattr(const char *, const char *, void *, size_t)');
const llistxattr = libc.func('int64 llistxattr(const char *, void *, size_t)');
const lremovexattr = libc.func('int lremovexattr(const char *, const char *)');
const utimensat_ = libc.func('int utimensat(int, const char *, const void *, int)');
const flock_ = libc.func('int flock(int, int)');
const lseek_ = libc.func('int64 lseek(int, int64, int)');
const fcntl_ = libc.func('int fcntl(int, int, void *)');
const truncate_ = libc.func('int truncate(const char *, int64)');
const getdents64 = libc.func('int64 getdents64(int, void *, size_t)');
const ftruncate_ = libc.func('int ftruncate(int, int64)');
const pwrite_ = libc.func('int64 pwrite(int, const void *, size_t, int64)');
const copy_ = libc.func('int64 copy_file_range(int, void *, int, void *, size_t, uint32)');

/** @throws ErrnoError */
function checked(result: number | bigint): number {
  if (result < 0) throw new ErrnoError(koffi.errno());
  return Number(result);
}

/** @param mode - type and permission bits @see mknod(2) */
export function mknod(path: string, mode: number, device: number): void {
  checked(mknodat(AT_FDCWD, path, mode, device));
}

/** @see renameat2(2) */
export function rename(from: string, to: string, flags: number): void {
  checked(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

/** @see linkat(2) */
export function link(from: string, to: string, flags: number): void {
  checked(linkat(AT_FDCWD, from, AT_FDCWD, to, flags));
}

/** @see fallocate(2) */
export function fallocate(fd: number, mode: number, offset: bigint, length: bigint): void {
  checked(fallocate_(fd, mode, offset, length));
}

/** @see lsetxattr(2) */
export function setxattr(path: string, name: string, value: Buffer, flags: number): void {
  checked(lsetxattr(path, name, value, value.length, flags));
}

/** @param room - bytes of the buffer; 0 asks for the length only, which is given as a number */
export function getxattr(path: string, name: string, room: number): Buffer | number {
  const value = Buffer.alloc(room);
  const length = checked(lgetxattr(path, name, room === 0 ? null : value, room));
  return room === 0 ? length : value.subarray(0, length);
}

/** Names, sorted. @param room - bytes of the buffer; 0 asks for the length only */
export function listxattr(path: string, room: number): string[] | number {
  const list = Buffer.alloc(room);
  const length = checked(llistxattr(path, room === 0 ? null : list, room));
  if (room === 0) return length;
  const names = list.subarray(0, length).toString('latin1').split('\0');
  return names.filter((name) => name !== '').toSorted();
}

/** @see lremovexattr(2) */
export function removexattr(path: string, name: string): void {
  checked(lremovexattr(path, name));
}

/** A time of {@link utimensat}: seconds and nanoseconds; the latter may be UTIME_NOW or UTIME_OMIT. */
export type UtimeSpec = readonly [seconds: bigint, nanoseconds: bigint];

/** @see utimensat(2) */
export function utimensat(
  path: string,
  [atime, mtime]: readonly [UtimeSpec, UtimeSpec],
  flags: number,
): void {
  const times = BigInt64Array.of(...atime, ...mtime);
  checked(utimensat_(AT_FDCWD, path, Buffer.from(times.buffer), flags));
}

/** @see flock(2) */
export function flock(fd: number, operation: number): void {
  checked(flock_(fd, operation));
}

/** @see lseek(2) */
export function lseek(fd: number, offset: number, whence: number): number {
  return checked(lseek_(fd, offset, whence));
}

/** A record lock that is set or asked for. */
export interface RecordLock {
  /** F_RDLCK, F_WRLCK or F_UNLCK. */
  readonly type: number;
  readonly start: number;
  /** 0: to the end, wherever that is. */
  readonly length: number;
}

/** Bytes of `struct flock` on 64-bit Linux: type, whence, start at 8, length at 16, pid at 24. */
const FLOCK_BYTES = 32;

/** @param command - F_SETLK or F_GETLK. @returns what the kernel left in the structure */
export function recordLock(fd: number, command: number, lock: RecordLock): RecordLock {
  const memory = Buffer.alloc(FLOCK_BYTES);
  memory.writeInt16LE(lock.type, 0);
  memory.writeBigInt64LE(BigInt(lock.start), 8);
  memory.writeBigInt64LE(BigInt(lock.length), 16);
  checked(fcntl_(fd, command, memory));
  return {
    type: memory.readInt16LE(0),
    start: Number(memory.readBigInt64LE(8)),
    length: Number(memory.readBigInt64LE(16)),
  };
}

/** @returns bytes copied @see copy_file_range(2) */
export function copyFileRange(
  from: { readonly fd: number; readonly offset: number },
  to: { readonly fd: number; readonly offset: number },
  length: number,
): number {
  const offsets = [from.offset, to.offset].map((offset) => {
    const memory = Buffer.alloc(8);
    memory.writeBigInt64LE(BigInt(offset));
    return memory;
  });
  return checked(copy_(from.fd, offsets[0], to.fd, offsets[1], length, 0));
}

/** @returns bytes written @see pwrite(2); for Node an offset above 2^53 is none */
export function pwrite(fd: number, bytes: Buffer, offset: bigint): number {
  return checked(pwrite_(fd, bytes, bytes.length, offset));
}

/** @see ftruncate(2); for Node a negative length is 0 */
export function ftruncate(fd: number, length: bigint): void {
  checked(ftruncate_(fd, length));
}

/** @see truncate(2); Node opens the file instead */
export function truncate(path: string, length: bigint): void {
  checked(truncate_(path, length));
}

/** The next names of an open directory; none at its end. @see getdents64(2) */
export function getdents(fd: number, room: number): string[] {
  const memory = Buffer.alloc(room);
  const length = checked(getdents64(fd, memory, room));
  const names: string[] = [];
  // struct linux_dirent64: inode, offset, record length at 16, type, name at 19.
  for (let at = 0; at < length; at += memory.readUInt16LE(at + 16)) {
    names.push(memory.toString('latin1', at + 19, memory.indexOf(0, at + 19)));
  }
  return names;
}
