import { CHUNK_BYTES } from '../block/geometry.ts';
import type { SliceRecord } from '../block/slice-record.ts';
import type { AclName, AclRule } from '../meta/acl.ts';
import { type Attr, FileType, type Timespec } from '../posix/attr.ts';
import { dumpBytes } from './dump-text.ts';
import type { DumpValue } from './dump-reader.ts';
import { DumpError } from './json-events.ts';

/** What a dump tells of an inode. */
export interface DumpedAttr
  extends Pick<Attr, 'type' | 'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'ctime' | 'rdev'> {
  readonly inode: bigint;
  readonly flags: number;
  /** Of regular files. */
  readonly length: bigint;
  readonly tier: number;
}

/** A part of a file. */
export interface DumpedChunk {
  readonly index: number;
  readonly records: readonly SliceRecord[];
}

const TYPES: Readonly<Record<string, FileType>> = {
  regular: FileType.file,
  directory: FileType.directory,
  symlink: FileType.symlink,
  fifo: FileType.fifo,
  blockdev: FileType.blockDevice,
  chardev: FileType.charDevice,
  socket: FileType.socket,
};
const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffff_ffff;
const U63 = (1n << 63n) - 1n;
const MODE_MAX = 0o7777;
const NANOSECONDS_MAX = 999_999_999;
const SECONDS_MAX = Number.MAX_SAFE_INTEGER;
const LENGTH_MAX = (1n << 57n) - 1n;
const CHUNK_INDEX_MAX = 2 ** 31 - 1;

/** The fields of an object in a dump. All throw DumpError that names the field. */
export class DumpFields {
  readonly #fields: Readonly<Record<string, DumpValue | undefined>>;
  readonly #what: string;

  /** @param what - names it in messages. @throws DumpError when it is no object */
  constructor(value: DumpValue | undefined, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new DumpError(`${what} is not an object`);
    }
    this.#fields = value as Record<string, DumpValue>;
    this.#what = what;
  }

  /** A whole number; 0 when it is not there. */
  number(name: string, max: number, min = 0): number {
    const value = this.#fields[name] ?? 0;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.#bad(name, `a whole number from ${min} to ${max}`);
  }

  /** The same for numbers that a double would round. */
  big(name: string, max: bigint, min = 0n): bigint {
    const value = this.#fields[name] ?? 0;
    const isWhole = typeof value === 'bigint' || Number.isInteger(value);
    const exact = isWhole ? BigInt(value as number) : min - 1n;
    if (exact >= min && exact <= max) return exact;
    throw this.#bad(name, `a whole number from ${min} to ${max}`);
  }

  /** A text; empty when it is not there. */
  text(name: string): string {
    const value = this.#fields[name] ?? '';
    if (typeof value === 'string') return value;
    throw this.#bad(name, 'a text');
  }

  /** A list of objects; empty when it is not there. */
  list(name: string): DumpFields[] {
    return objects(this.#fields[name] ?? [], `${this.#what}: ${name}`);
  }

  #bad(name: string, expected: string): DumpError {
    return new DumpError(`${this.#what}: ${name} must be ${expected}`);
  }
}

/** A list of objects. @throws DumpError */
export function objects(value: DumpValue, what: string): DumpFields[] {
  if (!Array.isArray(value)) throw new DumpError(`${what} is not a list`);
  return (value as DumpValue[]).map((each, index) => new DumpFields(each, `${what}[${index}]`));
}

/** @throws DumpError, as the others do */
export function toAttr(value: DumpValue, what: string): DumpedAttr {
  const fields = new DumpFields(value, what);
  const name = fields.text('type');
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) throw new DumpError(`${what}: type "${name}" is unknown`);
  const time = (field: string): Timespec => ({
    seconds: fields.number(field, SECONDS_MAX, -SECONDS_MAX),
    nanoseconds: fields.number(`${field}nsec`, NANOSECONDS_MAX),
  });
  return {
    ...{ type, inode: fields.big('inode', U63, 1n), flags: fields.number('flags', U8) },
    ...{ mode: fields.number('mode', MODE_MAX), uid: fields.number('uid', U32) },
    ...{ gid: fields.number('gid', U32), rdev: fields.number('rdev', U32) },
    ...{ atime: time('atime'), mtime: time('mtime'), ctime: time('ctime') },
    length: type === FileType.file ? fields.big('length', LENGTH_MAX) : 0n,
    tier: fields.number('tier', U8),
  };
}

/** The parts of a file that have slices. */
export function toChunks(value: DumpValue, what: string): DumpedChunk[] {
  const chunks = objects(value, what).map((chunk) => ({
    index: chunk.number('index', CHUNK_INDEX_MAX),
    records: chunk.list('slices').map(toRecord),
  }));
  return chunks.filter(({ records }) => records.length > 0);
}

function toRecord(slice: DumpFields): SliceRecord {
  // Clients before 1.0 had another name for the id.
  const id = slice.big('id', U63);
  return {
    sliceId: id === 0n ? slice.big('chunkid', U63) : id,
    ...{ pos: slice.number('pos', CHUNK_BYTES), size: slice.number('size', U32) },
    ...{ off: slice.number('off', U32), len: slice.number('len', CHUNK_BYTES) },
  };
}

/** Extended attributes. */
export function toXattrs(value: DumpValue, what: string) {
  return objects(value, what).map((xattr) => ({
    name: Buffer.from(xattr.text('name'), 'utf8'),
    value: dumpBytes(xattr.text('value')),
  }));
}

/** An access rule. */
export function toRule(value: DumpValue, what: string): AclRule {
  const fields = new DumpFields(value, what);
  const names = (name: string): AclName[] =>
    fields
      .list(name)
      .map((each) => ({ id: each.number('id', U32), perm: each.number('perm', U16) }));
  return {
    ...{ owner: fields.number('owner', U16), group: fields.number('group', U16) },
    ...{ other: fields.number('other', U16), mask: fields.number('mask', U16) },
    ...{ users: names('users'), groups: names('groups') },
  };
}
