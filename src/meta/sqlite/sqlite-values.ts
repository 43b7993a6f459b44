import type { Attr, Timespec } from '../../posix/attr.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { isFileType, toTimespec } from '../attr-codec.ts';
import { type DirQuota, MetaError } from '../engine.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';

/** Columns of `node`, in no order that matters; those that older clients lack are read as 0. */
const NODE_COLUMNS = [
  'type',
  'flags',
  'mode',
  'uid',
  'gid',
  'atime',
  'mtime',
  'ctime',
  'atimensec',
  'mtimensec',
  'ctimensec',
  'nlink',
  'length',
  'rdev',
  'parent',
  'access_acl_id',
  'default_acl_id',
  'tier_id',
];
const MODE_BITS = 0o7777;
const MICROSECONDS = 1_000_000n;

/** Columns of a whole row of `node`, in the order of {@link nodeValues}. */
export const NODE_ROW: readonly string[] = ['inode', ...NODE_COLUMNS];

/** A row of `node`. */
export function nodeValues(ino: Ino, attr: Attr): bigint[] {
  const [atime, mtime, ctime] = [attr.atime, attr.mtime, attr.ctime].map(toColumns);
  return [
    signed(ino),
    ...[attr.type, attr.flags, attr.mode, attr.uid, attr.gid].map(BigInt),
    ...[atime, mtime, ctime].map((time) => time?.micros ?? 0n),
    ...[atime, mtime, ctime].map((time) => time?.nanos ?? 0n),
    BigInt(attr.nlink),
    signed(attr.length),
    BigInt(attr.rdev),
    signed(attr.parent),
    ...[attr.accessAclId, attr.defaultAclId, attr.tier].map(BigInt),
  ];
}

/** The columns of `node`, called `n` in the statement, that make an attribute. */
export function attrColumns(database: SqliteDatabase): string {
  const present = database.columns('node');
  return NODE_COLUMNS.map((name) => (present.has(name) ? `n.${name}` : `0 AS ${name}`)).join(', ');
}

/**
 * Makes an attribute of the {@link attrColumns} of a row.
 *
 * @throws MetaError `corrupt`
 */
export function toAttr(row: Row): Attr {
  const type = unsigned32(row, 'type');
  if (!isFileType(type)) throw new MetaError('corrupt', `SQLite: ${type} is not a file type`);
  return {
    type,
    mode: unsigned32(row, 'mode') & MODE_BITS,
    uid: unsigned32(row, 'uid'),
    gid: unsigned32(row, 'gid'),
    atime: toTime(row, 'atime'),
    mtime: toTime(row, 'mtime'),
    ctime: toTime(row, 'ctime'),
    nlink: unsigned32(row, 'nlink'),
    length: unsigned64(row, 'length'),
    rdev: unsigned32(row, 'rdev'),
    parent: toIno(unsigned64(row, 'parent')),
    flags: unsigned32(row, 'flags'),
    accessAclId: unsigned32(row, 'access_acl_id'),
    defaultAclId: unsigned32(row, 'default_acl_id'),
    tier: unsigned32(row, 'tier_id'),
  };
}

/** A whole number; NULL, which columns of upgraded volumes hold, is 0. @throws MetaError `corrupt` */
export function integer(row: Row, column: string): bigint {
  const value = row[column] ?? 0n;
  if (typeof value !== 'bigint') throw new MetaError('corrupt', `SQLite: ${column} is no number`);
  return value;
}

/** The lower 32 bits of a whole number: the columns are signed, the values are not. */
export function unsigned32(row: Row, column: string): number {
  return Number(BigInt.asUintN(32, integer(row, column)));
}

/** A whole number without its sign. */
export function unsigned64(row: Row, column: string): bigint {
  return BigInt.asUintN(64, integer(row, column));
}

/** SQLite's integers are signed: what they hold for 64 bits without a sign. */
export function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

/** Bytes of a column that the statement casts to BLOB. @throws MetaError `corrupt` */
export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) {
    throw new MetaError('corrupt', `SQLite: ${column} holds no bytes`);
  }
  return value;
}

/** A row with a quota: limits, and what is used. */
export function toQuota(row: Row): DirQuota {
  return {
    maxBytes: integer(row, 'max_space'),
    maxInodes: integer(row, 'max_inodes'),
    usedBytes: integer(row, 'used_space'),
    usedInodes: integer(row, 'used_inodes'),
  };
}

function toColumns({ seconds, nanoseconds }: Timespec): { micros: bigint; nanos: bigint } {
  const micros = BigInt(seconds) * MICROSECONDS + BigInt(Math.floor(nanoseconds / 1000));
  return { micros, nanos: BigInt(nanoseconds % 1000) };
}

/** Microseconds in one column, 0 … 999 nanoseconds in another. */
function toTime(row: Row, column: 'atime' | 'mtime' | 'ctime'): Timespec {
  const micros = integer(row, column);
  const nanos = (micros % MICROSECONDS) * 1000n + integer(row, `${column}nsec`);
  // Truncation, and the remainder without its sign: times after 2262 are stored as negative
  // numbers, and this is what the original client shows for them.
  return toTimespec(Number(micros / MICROSECONDS), Number(BigInt.asUintN(32, nanos)));
}
