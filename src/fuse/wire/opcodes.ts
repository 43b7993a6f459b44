import * as body from './bodies.ts';
import type { FrameReader } from './frame-reader.ts';

/**
 * What a driver without write support does with a request:
 * `read` is answered by FuseOperations; `write` would change something (EROFS); `unsupported`
 * (ENOSYS: the kernel does not ask again and does without); `ignored` succeeds and does nothing;
 * `control` belongs to the protocol itself; `one-way` the same, and never has a reply.
 */
export type OpcodeKind = 'read' | 'write' | 'unsupported' | 'ignored' | 'control' | 'one-way';

/** One request type. */
export interface OpcodeRow {
  readonly number: number;
  readonly kind: OpcodeKind;
  readonly decode: (reader: FrameReader) => unknown;
}

const skip = body.decodeNothing;

/** Every opcode of protocol 7.31 … 7.45. @see enum fuse_opcode in linux/fuse.h */
export const OPCODES = {
  lookup: { number: 1, kind: 'read', decode: body.decodeName },
  forget: { number: 2, kind: 'one-way', decode: body.decodeForget },
  getattr: { number: 3, kind: 'read', decode: skip },
  setattr: { number: 4, kind: 'write', decode: skip },
  readlink: { number: 5, kind: 'read', decode: skip },
  symlink: { number: 6, kind: 'write', decode: skip },
  mknod: { number: 8, kind: 'write', decode: skip },
  mkdir: { number: 9, kind: 'write', decode: skip },
  unlink: { number: 10, kind: 'write', decode: skip },
  rmdir: { number: 11, kind: 'write', decode: skip },
  rename: { number: 12, kind: 'write', decode: skip },
  link: { number: 13, kind: 'write', decode: skip },
  open: { number: 14, kind: 'read', decode: body.decodeOpen },
  read: { number: 15, kind: 'read', decode: body.decodeRead },
  write: { number: 16, kind: 'write', decode: skip },
  statfs: { number: 17, kind: 'read', decode: skip },
  release: { number: 18, kind: 'read', decode: body.decodeRelease },
  fsync: { number: 20, kind: 'ignored', decode: skip },
  setxattr: { number: 21, kind: 'write', decode: skip },
  getxattr: { number: 22, kind: 'read', decode: body.decodeGetxattr },
  listxattr: { number: 23, kind: 'read', decode: body.decodeListxattr },
  removexattr: { number: 24, kind: 'write', decode: skip },
  // ENOSYS makes the kernel stop asking at every close(2), which then succeeds.
  flush: { number: 25, kind: 'unsupported', decode: skip },
  init: { number: 26, kind: 'control', decode: body.decodeInit },
  opendir: { number: 27, kind: 'read', decode: body.decodeOpen },
  readdir: { number: 28, kind: 'read', decode: body.decodeRead },
  releasedir: { number: 29, kind: 'read', decode: body.decodeRelease },
  fsyncdir: { number: 30, kind: 'ignored', decode: skip },
  // Locks are not asked for at INIT, so the kernel keeps them by itself.
  getlk: { number: 31, kind: 'unsupported', decode: skip },
  setlk: { number: 32, kind: 'unsupported', decode: skip },
  setlkw: { number: 33, kind: 'unsupported', decode: skip },
  // With default_permissions the kernel checks by itself; after ENOSYS it does so here, too.
  access: { number: 34, kind: 'unsupported', decode: skip },
  create: { number: 35, kind: 'write', decode: skip },
  interrupt: { number: 36, kind: 'one-way', decode: body.decodeInterrupt },
  bmap: { number: 37, kind: 'unsupported', decode: skip },
  destroy: { number: 38, kind: 'control', decode: skip },
  // Answered with ENOTTY: ENOSYS would reach the application as it is.
  ioctl: { number: 39, kind: 'unsupported', decode: skip },
  poll: { number: 40, kind: 'unsupported', decode: skip },
  notifyReply: { number: 41, kind: 'one-way', decode: skip },
  batchForget: { number: 42, kind: 'one-way', decode: body.decodeBatchForget },
  fallocate: { number: 43, kind: 'write', decode: skip },
  readdirplus: { number: 44, kind: 'read', decode: body.decodeRead },
  rename2: { number: 45, kind: 'write', decode: skip },
  lseek: { number: 46, kind: 'read', decode: body.decodeLseek },
  copyFileRange: { number: 47, kind: 'write', decode: skip },
  setupmapping: { number: 48, kind: 'unsupported', decode: skip },
  removemapping: { number: 49, kind: 'unsupported', decode: skip },
  syncfs: { number: 50, kind: 'unsupported', decode: skip },
  tmpfile: { number: 51, kind: 'write', decode: skip },
  // The kernel then uses GETATTR.
  statx: { number: 52, kind: 'unsupported', decode: skip },
  copyFileRange64: { number: 53, kind: 'write', decode: skip },
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
