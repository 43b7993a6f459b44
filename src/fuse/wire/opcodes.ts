import * as body from './bodies.ts';
import * as change from './change-bodies.ts';
import type { FrameReader } from './frame-reader.ts';

/**
 * What a driver does with a request:
 * `call` is answered by FuseOperations; `unsupported` (ENOSYS: the kernel does not ask again and does
 * without); `control` belongs to the protocol itself; `one-way` the same, and never has a reply.
 *
 * Others are calls, too, where something can be written. On a read-only mount `write`, which would
 * change something, is EROFS; `sync` succeeds and does nothing; `local` is ENOSYS, and the kernel
 * does it by itself.
 */
export type OpcodeKind =
  | 'call'
  | 'write'
  | 'sync'
  | 'local'
  | 'unsupported'
  | 'control'
  | 'one-way';

/** One request type. */
export interface OpcodeRow {
  readonly number: number;
  readonly kind: OpcodeKind;
  readonly decode: (reader: FrameReader) => unknown;
}

const skip = body.decodeNothing;

/** Every opcode of protocol 7.31 … 7.45. @see enum fuse_opcode in linux/fuse.h */
export const OPCODES = {
  lookup: { number: 1, kind: 'call', decode: body.decodeName },
  forget: { number: 2, kind: 'one-way', decode: body.decodeForget },
  getattr: { number: 3, kind: 'call', decode: skip },
  setattr: { number: 4, kind: 'write', decode: change.decodeSetattr },
  readlink: { number: 5, kind: 'call', decode: skip },
  symlink: { number: 6, kind: 'write', decode: change.decodeSymlink },
  mknod: { number: 8, kind: 'write', decode: change.decodeMknod },
  mkdir: { number: 9, kind: 'write', decode: change.decodeMkdir },
  unlink: { number: 10, kind: 'write', decode: body.decodeName },
  rmdir: { number: 11, kind: 'write', decode: body.decodeName },
  rename: { number: 12, kind: 'write', decode: change.decodeRename },
  link: { number: 13, kind: 'write', decode: change.decodeLink },
  open: { number: 14, kind: 'call', decode: body.decodeOpen },
  read: { number: 15, kind: 'call', decode: body.decodeRead },
  // On a read-only mount only a channel for tools can be opened for writing.
  write: { number: 16, kind: 'call', decode: body.decodeWrite },
  statfs: { number: 17, kind: 'call', decode: skip },
  release: { number: 18, kind: 'call', decode: body.decodeRelease },
  fsync: { number: 20, kind: 'sync', decode: change.decodeFsync },
  setxattr: { number: 21, kind: 'write', decode: change.decodeSetxattr },
  getxattr: { number: 22, kind: 'call', decode: body.decodeGetxattr },
  listxattr: { number: 23, kind: 'call', decode: body.decodeListxattr },
  removexattr: { number: 24, kind: 'write', decode: change.decodeRemovexattr },
  // ENOSYS on a read-only mount makes the kernel stop asking at every close(2), which then succeeds.
  flush: { number: 25, kind: 'local', decode: change.decodeFlush },
  init: { number: 26, kind: 'control', decode: body.decodeInit },
  opendir: { number: 27, kind: 'call', decode: body.decodeOpen },
  readdir: { number: 28, kind: 'call', decode: body.decodeRead },
  releasedir: { number: 29, kind: 'call', decode: body.decodeRelease },
  fsyncdir: { number: 30, kind: 'sync', decode: change.decodeFsync },
  // On a read-only mount they are not asked for at INIT, so the kernel keeps them by itself.
  getlk: { number: 31, kind: 'local', decode: change.decodeLock },
  setlk: { number: 32, kind: 'local', decode: change.decodeLock },
  setlkw: { number: 33, kind: 'local', decode: change.decodeLock },
  // With default_permissions the kernel checks by itself; after ENOSYS it does so here, too.
  access: { number: 34, kind: 'unsupported', decode: skip },
  create: { number: 35, kind: 'write', decode: change.decodeCreate },
  interrupt: { number: 36, kind: 'one-way', decode: body.decodeInterrupt },
  bmap: { number: 37, kind: 'unsupported', decode: skip },
  destroy: { number: 38, kind: 'control', decode: skip },
  // Answered with ENOTTY: ENOSYS would reach the application as it is.
  ioctl: { number: 39, kind: 'unsupported', decode: skip },
  poll: { number: 40, kind: 'unsupported', decode: skip },
  notifyReply: { number: 41, kind: 'one-way', decode: skip },
  batchForget: { number: 42, kind: 'one-way', decode: body.decodeBatchForget },
  fallocate: { number: 43, kind: 'write', decode: change.decodeFallocate },
  readdirplus: { number: 44, kind: 'call', decode: body.decodeRead },
  rename2: { number: 45, kind: 'write', decode: change.decodeRename2 },
  lseek: { number: 46, kind: 'call', decode: body.decodeLseek },
  copyFileRange: { number: 47, kind: 'write', decode: change.decodeCopyFileRange },
  setupmapping: { number: 48, kind: 'unsupported', decode: skip },
  removemapping: { number: 49, kind: 'unsupported', decode: skip },
  syncfs: { number: 50, kind: 'unsupported', decode: skip },
  tmpfile: { number: 51, kind: 'write', decode: skip },
  // The kernel then uses GETATTR.
  statx: { number: 52, kind: 'unsupported', decode: skip },
  copyFileRange64: { number: 53, kind: 'write', decode: change.decodeCopyFileRange },
} as const satisfies Record<string, OpcodeRow>;

/** A request type's name. */
export type OpcodeName = keyof typeof OPCODES;

const NAMES: ReadonlyMap<number, OpcodeName> = new Map(
  (Object.keys(OPCODES) as OpcodeName[]).map((name) => [OPCODES[name].number, name]),
);

/** @returns the name of an opcode, or undefined when the protocol that we know has none such */
export function opcodeName(opcode: number): OpcodeName | undefined {
  return NAMES.get(opcode);
}
