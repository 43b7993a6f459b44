import type {
  AttrChanges,
  CreateReply,
  LockRequest,
  NameIn,
  NodeRequest,
  OpenRange,
} from '../../fuse/mutations.ts';
import type { AttrReply, EntryReply } from '../../fuse/operations.ts';
import type { Ino } from '../../posix/ino.ts';
import { entryText, nameText } from './access-line.ts';

/** What the access log says of requests that change something. @see detail */
export const changeDetail = {
  create: (
    at: NameIn,
    how: { flags: number; mode: number; umask: number },
    made: CreateReply | undefined,
  ): string =>
    `(${place(at)},0${how.mode.toString(8)}:0${how.umask.toString(8)},0x${how.flags.toString(16)})${made === undefined ? '' : `${entry(made.entry)} [fh:${made.opened.fh}]`}`,
  mknod: (at: NameIn, node: NodeRequest, made: EntryReply | undefined): string =>
    `(${place(at)},0${node.mode.toString(8)}:0${node.umask.toString(8)},0x${node.rdev.toString(16)})${entry(made)}`,
  mkdir: (at: NameIn, how: { mode: number; umask: number }, made: EntryReply | undefined): string =>
    `(${place(at)},0${how.mode.toString(8)}:0${how.umask.toString(8)})${entry(made)}`,
  symlink: (at: NameIn, target: Uint8Array, made: EntryReply | undefined): string =>
    `(${place(at)},${nameText(target)})${entry(made)}`,
  link: (ino: Ino, at: NameIn, made: EntryReply | undefined): string =>
    `(${ino},${place(at)})${entry(made)}`,
  name: (at: NameIn): string => `(${place(at)})`,
  rename: (from: NameIn, to: NameIn, flags: number): string =>
    `(${place(from)},${place(to)},${flags})`,
  setattr: (ino: Ino, changes: AttrChanges, found: AttrReply | undefined): string => {
    const asked = Object.entries(changes).map(([name, value]) => `${name}=${valueText(value)}`);
    const result = found === undefined ? '' : entryText(ino, found.attr);
    return `(${ino},[${asked.join(',')}]):${result}`;
  },
  setxattr: (ino: Ino, xattr: { name: Uint8Array; value: Uint8Array; how: string }): string =>
    `(${ino},${nameText(xattr.name)},${xattr.value.byteLength},${xattr.how})`,
  fallocate: (at: OpenRange, range: { mode: number; length: bigint }): string =>
    `(${at.ino},${range.mode},${at.offset},${range.length},${at.fh})`,
  copy: (from: OpenRange, to: OpenRange, copied: number | undefined): string =>
    `(${from.ino},${from.offset},${to.ino},${to.offset}): (${copied ?? 0})`,
  flush: (ino: Ino, fh: bigint, owner: bigint): string => `(${ino},${fh},${hex(owner)})`,
  handle: (ino: Ino, fh: bigint): string => `(${ino},${fh})`,
  lock: (ino: Ino, lock: LockRequest): string =>
    `(${ino},${hex(lock.owner)},${lock.start},${lock.end},${lock.type},${lock.pid})`,
  flock: (file: { ino: Ino; fh: bigint; owner: bigint }, type: string): string =>
    `(${file.ino},${file.fh},${hex(file.owner)},${type})`,
};

function place({ parent, name }: NameIn): string {
  return `${parent},${nameText(name)}`;
}

function entry(made: EntryReply | undefined): string {
  return made === undefined ? '' : `:${entryText(made.ino, made.attr)}`;
}

function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { seconds, nanoseconds } = value as { seconds: number; nanoseconds: number };
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
}

function hex(owner: bigint): string {
  return owner.toString(16).toUpperCase().padStart(16, '0');
}
