import type { Attr, FileType, Timespec } from '../posix/attr.ts';
import { toIno } from '../posix/ino.ts';

/** Where the fields of a stored attribute lie; all are big-endian. */
const AT = {
  flags: 0,
  typeAndMode: 1,
  uid: 3,
  gid: 7,
  atime: 11,
  mtime: 23,
  ctime: 35,
  nlink: 47,
  length: 51,
  rdev: 59,
  parent: 63,
  tails: 71,
} as const;
const PARENT_BYTES = 8;
const ACL_BYTES = 8;
const MODE_BITS = 0o7777;
const TYPE_SHIFT = 12;
const TYPE_MAX = 7;
/** The kernel shows a greater value as this one. */
const NANOSECONDS_MAX = 999_999_999;

/**
 * Decodes the value of `i<inode>`. Very old ones lack the parent; tails (two ACL ids, a storage
 * tier) are there or not, and one unused byte ends the value.
 *
 * @returns undefined when it is too short or its type unknown
 */
export function decodeAttr(bytes: Uint8Array): Attr | undefined {
  if (bytes.byteLength < AT.parent) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const typeAndMode = view.getUint16(AT.typeAndMode);
  const type = typeAndMode >> TYPE_SHIFT;
  if (!isFileType(type)) return undefined;
  const hasParent = bytes.byteLength >= AT.parent + PARENT_BYTES;
  return {
    type,
    mode: typeAndMode & MODE_BITS,
    uid: view.getUint32(AT.uid),
    gid: view.getUint32(AT.gid),
    atime: readTime(view, AT.atime),
    mtime: readTime(view, AT.mtime),
    ctime: readTime(view, AT.ctime),
    nlink: view.getUint32(AT.nlink),
    length: view.getBigUint64(AT.length),
    rdev: view.getUint32(AT.rdev),
    parent: toIno(hasParent ? view.getBigUint64(AT.parent) : 0n),
    flags: view.getUint8(AT.flags),
    ...readTails(view),
  };
}

/**
 * The inverse of {@link decodeAttr}, in exactly the lengths that other clients write: 72 bytes, 73
 * with a tier, 80 with ACLs, 81 with both.
 */
export function encodeAttr(attr: Attr): Uint8Array {
  const hasAcl = attr.accessAclId !== 0 || attr.defaultAclId !== 0;
  const tierAt = AT.tails + (hasAcl ? ACL_BYTES : 0);
  const bytes = new Uint8Array(tierAt + (attr.tier === 0 ? 1 : 2));
  const view = new DataView(bytes.buffer);
  view.setUint8(AT.flags, attr.flags);
  view.setUint16(AT.typeAndMode, (attr.type << TYPE_SHIFT) | attr.mode);
  view.setUint32(AT.uid, attr.uid);
  view.setUint32(AT.gid, attr.gid);
  writeTime(view, AT.atime, attr.atime);
  writeTime(view, AT.mtime, attr.mtime);
  writeTime(view, AT.ctime, attr.ctime);
  view.setUint32(AT.nlink, attr.nlink);
  view.setBigUint64(AT.length, attr.length);
  view.setUint32(AT.rdev, attr.rdev);
  view.setBigUint64(AT.parent, attr.parent);
  if (hasAcl) {
    view.setUint32(AT.tails, attr.accessAclId);
    view.setUint32(AT.tails + 4, attr.defaultAclId);
  }
  if (attr.tier !== 0) view.setUint8(tierAt, attr.tier);
  return bytes;
}

/** Whether a stored number is one of the seven file types. */
export function isFileType(value: number): value is FileType {
  return Number.isInteger(value) && value >= 1 && value <= TYPE_MAX;
}

/** A time as other clients show it: more nanoseconds than a second has are cut. */
export function toTimespec(seconds: number, nanoseconds: number): Timespec {
  return { seconds, nanoseconds: Math.min(nanoseconds, NANOSECONDS_MAX) };
}

function readTime(view: DataView, at: number): Timespec {
  return toTimespec(Number(view.getBigInt64(at)), view.getUint32(at + 8));
}

function writeTime(view: DataView, at: number, time: Timespec): void {
  view.setBigInt64(at, BigInt(time.seconds));
  view.setUint32(at + 8, time.nanoseconds);
}

function readTails(view: DataView): Pick<Attr, 'accessAclId' | 'defaultAclId' | 'tier'> {
  const hasAcl = view.byteLength - AT.tails >= ACL_BYTES;
  const tierAt = AT.tails + (hasAcl ? ACL_BYTES : 0);
  return {
    accessAclId: hasAcl ? view.getUint32(AT.tails) : 0,
    defaultAclId: hasAcl ? view.getUint32(AT.tails + 4) : 0,
    tier: view.byteLength > tierAt ? view.getUint8(tierAt) : 0,
  };
}
