import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type BigIntStats,
} from 'node:fs';
import { aclBytes, aclName, aclText } from './acl-words.ts';
import { emptied, gone, linkmany, many, readsome, relist, seen, symlinkmany } from './crowds.ts';
import { close, closeAll, create, fd, open } from './descriptors.ts';
import * as calls from './system-calls.ts';
import {
  ALLOCATE_FLAGS,
  fields,
  flagsOf,
  LOCKS,
  octal,
  RECORD_TYPES,
  RENAME_FLAGS,
  timeOf,
  TYPES,
  WHENCE,
  XATTR_FLAGS,
} from './words.ts';

/** One operation: words in, what a table shows out. Throws what carries an errno's name as `code`. */
type Operation = (...words: string[]) => string | void;

/** Times differ for sure after it: the coarse clock of a kernel with 100 ticks a second, and a bit. */
const TICK_MS = 12;
const XATTR_BYTES_MAX = 65_536;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
/** @see fcntl(2) */
const F_GETLK = 5;
const F_SETLK = 6;
const TIMES = ['atime', 'mtime', 'ctime'] as const;

const marks = new Map<string, BigIntStats>();

/** What a name, or a descriptor, is: symlinks are not followed. */
function look(name = ''): BigIntStats {
  const options = { bigint: true } as const;
  return name.startsWith('%') ? fstatSync(fd(name), options) : lstatSync(name, options);
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function readAll(from: number, length: number, position: number | null): string {
  const memory = Buffer.alloc(length);
  const text = memory.subarray(0, readSync(from, memory, 0, length, position)).toString('latin1');
  return text.replaceAll('\0', '0');
}

/** Which times differ from those at `mark`. */
function changed(name: string): string {
  const [before, after] = [marks.get(name), look(name)];
  if (before === undefined) throw new Error(`${name} was not marked`);
  return TIMES.filter((time) => before[`${time}Ns`] !== after[`${time}Ns`]).join() || 'none';
}

function mark(...names: string[]): void {
  for (const name of names) marks.set(name, look(name));
  sleep(TICK_MS);
}

/** `copy %from OFFSET %to OFFSET LENGTH`. */
function copy([from, fromOffset, to, toOffset, length]: readonly string[]): number {
  return calls.copyFileRange(
    { fd: fd(from), offset: Number(fromOffset) },
    { fd: fd(to), offset: Number(toOffset) },
    Number(length),
  );
}

/** Begins a case: what is open is closed, and the folder changes. */
function begin(folder: string): void {
  closeAll();
  marks.clear();
  relist();
  process.umask(0);
  process.chdir(folder);
}

/** Everything that a table can say. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...{ begin, open, close, create, mark, changed },
  umask: (mask) => void process.umask(octal(mask)),
  sleep: (ms) => sleep(Number(ms)),
  mkdir: (path = '', mode) => {
    mkdirSync(path, octal(mode));
  },
  rmdir: (path = '') => rmdirSync(path),
  unlink: (path = '') => unlinkSync(path),
  mknod: (path = '', type = '', mode, device = '0:0') => {
    const [major = 0, minor = 0] = device.split(':').map(Number);
    calls.mknod(path, flagsOf(type, TYPES) | octal(mode), major * 256 + minor);
  },
  rename: (from = '', to = '', flags) =>
    calls.rename(from, to, flags === undefined ? 0 : flagsOf(flags, RENAME_FLAGS)),
  link: (from = '', to = '') => calls.link(from, to, 0),
  linkfollow: (from = '', to = '') => calls.link(from, to, AT_SYMLINK_FOLLOW),
  symlink: (target = '', path = '') => symlinkSync(target, path),
  readlink: (path = '') => readlinkSync(path),
  chmod: (path = '', mode) =>
    path.startsWith('%') ? fchmodSync(fd(path), octal(mode)) : chmodSync(path, octal(mode)),
  chown: (path = '', uid, gid) => {
    if (path.startsWith('%')) fchownSync(fd(path), Number(uid), Number(gid));
    else chownSync(path, Number(uid), Number(gid));
  },
  lchown: (path = '', uid, gid) => lchownSync(path, Number(uid), Number(gid)),
  utimens: (path = '', atime, mtime) =>
    calls.utimensat(path, [timeOf(atime), timeOf(mtime)], AT_SYMLINK_NOFOLLOW),
  truncate: (path = '', length) =>
    path.startsWith('%')
      ? calls.ftruncate(fd(path), BigInt(length ?? 0))
      : calls.truncate(path, BigInt(length ?? 0)),
  fallocate: (name, mode = '', offset, length) =>
    calls.fallocate(
      fd(name),
      flagsOf(mode, ALLOCATE_FLAGS),
      BigInt(offset ?? 0),
      BigInt(length ?? 0),
    ),
  setxattr: (path = '', name = '', value = '', flags) =>
    calls.setxattr(
      path,
      name,
      Buffer.from(value),
      flags === undefined ? 0 : flagsOf(flags, XATTR_FLAGS),
    ),
  getxattr: (path = '', name = '', room = '65536') => {
    const found = calls.getxattr(path, name, Number(room));
    if (typeof found === 'number') return String(found);
    return found.length > 64 ? `${found.length} bytes` : found.toString('latin1');
  },
  listxattr: (path = '', room = '65536') => {
    const found = calls.listxattr(path, Number(room));
    if (typeof found === 'number') return String(found);
    return found.filter((name) => !name.startsWith('security.')).join() || 'none';
  },
  removexattr: (path = '', name = '') => calls.removexattr(path, name),
  setacl: (path = '', kind, text = '') => calls.setxattr(path, aclName(kind), aclBytes(text), 0),
  getacl: (path = '', kind) =>
    aclText(calls.getxattr(path, aclName(kind), XATTR_BYTES_MAX) as Buffer),
  removeacl: (path = '', kind) => calls.removexattr(path, aclName(kind)),
  access: (path = '', how = '') => {
    const bit = { r: constants.R_OK, w: constants.W_OK, x: constants.X_OK, f: constants.F_OK };
    accessSync(
      path,
      how.split('').reduce((all, each) => all | bit[each as 'r'], 0),
    );
  },
  ls: (path = '') => readdirSync(path).toSorted().join() || 'nothing',
  stat: (path = '', names) => fields(statSync(path, { bigint: true }), names),
  lstat: (path = '', names) => fields(look(path), names),
  read: (name, length) => readAll(fd(name), Number(length), null),
  pread: (name, length, offset) => readAll(fd(name), Number(length), Number(offset)),
  cat: (path = '') => {
    const opened = openSync(path, constants.O_RDONLY);
    try {
      return readAll(opened, 65_536, null);
    } finally {
      closeSync(opened);
    }
  },
  write: (name, text = '') => String(writeSync(fd(name), text)),
  pwrite: (name, text = '', offset) =>
    String(calls.pwrite(fd(name), Buffer.from(text), BigInt(offset ?? 0))),
  fsync: (name) => fsyncSync(fd(name)),
  lseek: (name, offset, whence = '') =>
    String(calls.lseek(fd(name), Number(offset), WHENCE[whence] ?? Number(whence))),
  flock: (name, how = '') => calls.flock(fd(name), flagsOf(how, LOCKS)),
  lock: (name, type = '', start, length) => {
    const lock = { type: RECORD_TYPES.indexOf(type), start: Number(start), length: Number(length) };
    calls.recordLock(fd(name), F_SETLK, lock);
  },
  /** The first lock of somebody else that stands in the way. */
  testlock: (name, type = '', start, length) => {
    const lock = { type: RECORD_TYPES.indexOf(type), start: Number(start), length: Number(length) };
    const found = calls.recordLock(fd(name), F_GETLK, lock);
    const text = `${RECORD_TYPES[found.type]} ${found.start} ${found.length}`;
    return RECORD_TYPES[found.type] === 'u' ? 'free' : text;
  },
  copy: (...words) => String(copy(words)),
  ...{ relist, many, gone, linkmany, symlinkmany, emptied, readsome, seen },
};
