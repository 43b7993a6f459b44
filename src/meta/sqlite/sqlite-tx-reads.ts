import { decodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import type { Attr, Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { isFileType } from '../attr-codec.ts';
import type { AclRule } from '../acl.ts';
import type { Edge } from '../edge-codec.ts';
import { type DirQuota, MetaError, type VolumeUsage } from '../engine.ts';
import type { LockType, RangeLock } from '../file-lock.ts';
import { decodeSliceSizes } from '../slice-sizes.ts';
import { decodeRangeLocks } from '../lock-codec.ts';
import type {
  DelayedName,
  JobName,
  LockHolder,
  OwnerKind,
  SliceSize,
  TxContext,
  TxReads,
} from '../write/meta-tx.ts';
import type { VolumeRules } from '../write/volume-rules.ts';
import type { SqliteAcl } from './sqlite-acl.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import type { OpenState } from './sqlite-protocol.ts';
import {
  attrColumns,
  bytes,
  integer,
  signed,
  toAttr,
  toQuota,
  unsigned32,
  unsigned64,
} from './sqlite-values.ts';

/** As the table numbers them. */
export const OWNER_TYPE: Readonly<Record<OwnerKind, bigint>> = { user: 1n, group: 2n };
/** ASCII `W`. */
const WRITE_LOCK = 87n;

/** Whether an inode is open is not known here: the transaction is to be made again, with an answer. */
export class AskOpenError extends Error {
  readonly ino: Ino;

  constructor(ino: Ino) {
    super(`is ${ino} open?`);
    this.ino = ino;
  }
}

/** What a transaction on SQLite works with. */
export interface SqliteTxParts {
  readonly database: SqliteDatabase;
  readonly acl: SqliteAcl;
  readonly context: TxContext;
  readonly open: OpenState;
}

/** The reads of a transaction, which has the write lock: nothing needs to be watched. */
export class SqliteTxReads implements TxReads {
  readonly now: Timespec;
  readonly rules: VolumeRules;
  readonly sid: bigint | undefined;
  protected readonly database: SqliteDatabase;
  protected readonly acl: SqliteAcl;
  readonly #open: OpenState;

  constructor({ database, acl, context, open }: SqliteTxParts) {
    this.now = context.now;
    this.rules = context.rules;
    this.sid = context.sid;
    this.database = database;
    this.acl = acl;
    this.#open = open;
  }

  async attr(ino: Ino): Promise<Attr | undefined> {
    const node = this.table('node');
    const sql = `SELECT ${attrColumns(this.database)} FROM ${node} n WHERE n.inode = ?`;
    const row = this.database.get(sql, signed(ino));
    return row === undefined ? undefined : toAttr(row);
  }

  peekAttr(ino: Ino): Promise<Attr | undefined> {
    return this.attr(ino);
  }

  async edge(dir: Ino, name: Uint8Array): Promise<Edge | undefined> {
    const sql = `SELECT inode, type FROM ${this.table('edge')} WHERE parent = ? AND name = ?`;
    const row = this.database.get(sql, signed(dir), name);
    if (row === undefined) return undefined;
    const type = unsigned32(row, 'type');
    if (!isFileType(type)) throw new MetaError('corrupt', `d${dir}: the type of a name`);
    return { ino: toIno(unsigned64(row, 'inode')), type };
  }

  peekEdge(dir: Ino, name: Uint8Array): Promise<Edge | undefined> {
    return this.edge(dir, name);
  }

  async hasEntries(dir: Ino): Promise<boolean> {
    const sql = `SELECT 1 FROM ${this.table('edge')} WHERE parent = ? LIMIT 1`;
    return this.database.get(sql, signed(dir)) !== undefined;
  }

  async links(ino: Ino): Promise<ReadonlyMap<Ino, number>> {
    const sql = `SELECT parent, count(*) AS links FROM ${this.table('edge')}
      WHERE inode = ? GROUP BY parent`;
    const rows = this.database.all(sql, signed(ino));
    return new Map(
      rows.map((row) => [toIno(unsigned64(row, 'parent')), Number(integer(row, 'links'))]),
    );
  }

  async symlinkTarget(ino: Ino): Promise<Uint8Array | undefined> {
    const sql = `SELECT CAST(target AS BLOB) AS value FROM ${this.table('symlink')} WHERE inode = ?`;
    return blobOf(this.database.get(sql, signed(ino)));
  }

  async xattr(ino: Ino, name: Uint8Array): Promise<Uint8Array | undefined> {
    const sql = `SELECT CAST(value AS BLOB) AS value FROM ${this.table('xattr')}
      WHERE inode = ? AND name = CAST(? AS TEXT)`;
    return blobOf(this.database.get(sql, signed(ino), name));
  }

  async chunk(ino: Ino, index: number): Promise<SliceRecord[]> {
    const sql = `SELECT CAST(slices AS BLOB) AS value FROM ${this.table('chunk')}
      WHERE inode = ? AND indx = ?`;
    const value = blobOf(this.database.get(sql, signed(ino), BigInt(index)));
    const records = decodeSliceRecords(value ?? new Uint8Array());
    if (records === undefined) throw new MetaError('corrupt', `the slice list c${ino}_${index}`);
    return records;
  }

  async dirStatsState(dir: Ino): Promise<'known' | 'empty' | 'missing'> {
    const sql = `SELECT 1 FROM ${this.table('dir_stats')} WHERE inode = ?`;
    if (this.database.get(sql, signed(dir)) !== undefined) return 'known';
    return (await this.hasEntries(dir)) ? 'missing' : 'empty';
  }

  async dirQuota(dir: Ino): Promise<DirQuota | undefined> {
    const sql = `SELECT max_space, max_inodes, used_space, used_inodes
      FROM ${this.table('dir_quota')} WHERE inode = ?`;
    const row = this.database.get(sql, signed(dir));
    return row && toQuota(row);
  }

  async ownerQuota(kind: OwnerKind, id: number): Promise<DirQuota | undefined> {
    const sql = `SELECT max_space, max_inodes, used_space, used_inodes
      FROM ${this.table('user_group_quota')} WHERE qtype = ? AND qkey = ?`;
    const row = this.database.get(sql, OWNER_TYPE[kind], BigInt(id));
    return row && toQuota(row);
  }

  async usage(): Promise<VolumeUsage> {
    const sql = `SELECT value FROM ${this.table('counter')} WHERE name = ?`;
    const [usedBytes = 0n, inodes = 0n] = ['usedSpace', 'totalInodes'].map((name) => {
      const row = this.database.get(sql, name);
      return row === undefined ? 0n : integer(row, 'value');
    });
    return { usedBytes, inodes };
  }

  async aclRule(id: number): Promise<AclRule | undefined> {
    return this.acl.rule(id);
  }

  async flocks(ino: Ino): Promise<(LockHolder & { type: LockType })[]> {
    await this.#checkExists(ino);
    const sql = `SELECT sid, owner, ltype FROM ${this.table('flock')} WHERE inode = ?`;
    return this.database.all(sql, signed(ino)).map((row) => ({
      ...holderOf(row),
      type: integer(row, 'ltype') === WRITE_LOCK ? 'write' : 'read',
    }));
  }

  async rangeLocks(ino: Ino): Promise<(LockHolder & { ranges: RangeLock[] })[]> {
    await this.#checkExists(ino);
    const sql = `SELECT sid, owner, CAST(records AS BLOB) AS value
      FROM ${this.table('plock')} WHERE inode = ?`;
    return this.database.all(sql, signed(ino)).map((row) => {
      const ranges = decodeRangeLocks(bytes(row, 'value'));
      if (ranges === undefined) throw new MetaError('corrupt', `SQLite: the locks of ${ino}`);
      return { ...holderOf(row), ranges };
    });
  }

  async delayedSlices({ id, seconds }: DelayedName): Promise<readonly SliceSize[]> {
    const sql = `SELECT CAST(slices AS BLOB) AS value FROM ${this.table('delslices')}
      WHERE chunkid = ? AND deleted = ?`;
    const value = blobOf(this.database.get(sql, signed(id), BigInt(seconds)));
    const slices = decodeSliceSizes(value ?? new Uint8Array());
    if (slices === undefined) throw new MetaError('corrupt', `delslices ${id}`);
    return slices;
  }

  async jobStamp(job: JobName): Promise<number> {
    const sql = `SELECT value FROM ${this.table('counter')} WHERE name = ?`;
    const row = this.database.get(sql, job);
    return row === undefined ? 0 : Number(integer(row, 'value'));
  }

  async isOpen(ino: Ino): Promise<boolean> {
    const isOpen = this.#open.answers.get(ino) ?? this.#open.all?.has(ino);
    if (isOpen === undefined) throw new AskOpenError(ino);
    return isOpen;
  }

  async chunksWithin(ino: Ino, first: number, last: number): Promise<number[]> {
    const sql = `SELECT indx FROM ${this.table('chunk')}
      WHERE inode = ? AND indx >= ? AND indx <= ?`;
    const rows = this.database.all(sql, signed(ino), BigInt(first), BigInt(last));
    return rows.map((row) => Number(integer(row, 'indx')));
  }

  protected table(name: string): string {
    return this.database.table(name);
  }

  /** Locks of files that are gone belong to nobody; Redis keeps them, SQL engines refuse them. */
  async #checkExists(ino: Ino): Promise<void> {
    if ((await this.attr(ino)) === undefined) throw new FsError('ENOENT');
  }
}

function blobOf(row: Row | undefined): Uint8Array | undefined {
  return row === undefined ? undefined : bytes(row, 'value');
}

function holderOf(row: Row): LockHolder {
  return { sid: unsigned64(row, 'sid'), owner: unsigned64(row, 'owner') };
}
