import { encodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import { SLICE_RECORD_BYTES } from '../../block/geometry.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import type { Edge } from '../edge-codec.ts';
import { type DirQuota, MetaError } from '../engine.ts';
import type { RangeLock } from '../file-lock.ts';
import { encodeSliceSizes } from '../slice-sizes.ts';
import { encodeRangeLocks } from '../lock-codec.ts';
import type {
  DelayedName,
  DirStats,
  JobName,
  LockHolder,
  MetaTx,
  OwnerKind,
  SliceSize,
  Usage,
} from '../write/meta-tx.ts';
import { addToCounter } from './sqlite-counters.ts';
import { OWNER_TYPE, SqliteTxReads } from './sqlite-tx-reads.ts';
import { integer, NODE_ROW, nodeValues, signed } from './sqlite-values.ts';

/** ASCII codes. */
const LOCK_LETTER = { read: 82n, write: 87n } as const;
type SqlValue = bigint | string | Uint8Array;

/** One try of a transaction. Writes take effect at once, and with its end for everybody else. */
export class SqliteTx extends SqliteTxReads implements MetaTx {
  /** Directories whose statistics are missing. */
  readonly staleStats = new Set<Ino>();

  insertNode(ino: Ino, attr: Attr): void {
    const places = NODE_ROW.map(() => '?').join(', ');
    const sql = `INSERT INTO ${this.table('node')} (${NODE_ROW.join(', ')}) VALUES (${places})`;
    this.database.run(sql, ...nodeValues(ino, attr));
  }

  updateNode(ino: Ino, attr: Attr): void {
    const [key = 0n, ...values] = nodeValues(ino, attr);
    const sets = NODE_ROW.slice(1)
      .map((column) => `${column} = ?`)
      .join(', ');
    const sql = `UPDATE ${this.table('node')} SET ${sets} WHERE inode = ?`;
    this.database.run(sql, ...values, key);
  }

  removeNode(ino: Ino, attr: Attr): void {
    this.#deleteOf('node', ino);
    if (attr.type === FileType.symlink) this.#deleteOf('symlink', ino);
    this.strip(ino);
  }

  strip(ino: Ino): void {
    this.#deleteOf('xattr', ino);
  }

  putEdge(dir: Ino, name: Uint8Array, { type, ino }: Edge): void {
    const sql = `INSERT INTO ${this.table('edge')} (parent, name, inode, type) VALUES (?, ?, ?, ?)
      ON CONFLICT (parent, name) DO UPDATE SET inode = excluded.inode, type = excluded.type`;
    this.database.run(sql, signed(dir), name, signed(ino), BigInt(type));
  }

  removeEdge(dir: Ino, name: Uint8Array): void {
    this.#run(`DELETE FROM ${this.table('edge')} WHERE parent = ? AND name = ?`, signed(dir), name);
  }

  addLinks(): void {
    // The names themselves are what tells the parents.
  }

  putSymlink(ino: Ino, target: Uint8Array): void {
    const sql = `INSERT INTO ${this.table('symlink')} (inode, target) VALUES (?, ?)`;
    this.#run(sql, signed(ino), target);
  }

  putXattr(ino: Ino, name: Uint8Array, value: Uint8Array): void {
    const sql = `INSERT INTO ${this.table('xattr')} (inode, name, value)
      VALUES (?, CAST(? AS TEXT), ?) ON CONFLICT (inode, name) DO UPDATE SET value = excluded.value`;
    this.#run(sql, signed(ino), name, value);
  }

  removeXattr(ino: Ino, name: Uint8Array): void {
    const sql = `DELETE FROM ${this.table('xattr')} WHERE inode = ? AND name = CAST(? AS TEXT)`;
    this.#run(sql, signed(ino), name);
  }

  appendRecord(ino: Ino, index: number, record: SliceRecord, told?: (count: number) => void): void {
    const chunk = this.table('chunk');
    // Two blobs make a text, whose length would end at the first zero byte.
    const sql = `INSERT INTO ${chunk} (inode, indx, slices) VALUES (?, ?, ?)
      ON CONFLICT (inode, indx) DO UPDATE SET slices = CAST(slices || excluded.slices AS BLOB)
      RETURNING length(CAST(slices AS BLOB)) AS size`;
    const row = this.database.get(sql, signed(ino), BigInt(index), encodeSliceRecords([record]));
    if (row !== undefined) told?.(Number(integer(row, 'size')) / SLICE_RECORD_BYTES);
  }

  appendToExisting(ino: Ino, index: number, record: SliceRecord): void {
    const sql = `UPDATE ${this.table('chunk')} SET slices = CAST(slices || ? AS BLOB)
      WHERE inode = ? AND indx = ?`;
    this.#run(sql, encodeSliceRecords([record]), signed(ino), BigInt(index));
  }

  replaceRecords(ino: Ino, index: number, count: number, by: readonly SliceRecord[]): void {
    const sql = `UPDATE ${this.table('chunk')}
      SET slices = CAST(? || substr(CAST(slices AS BLOB), ?) AS BLOB) WHERE inode = ? AND indx = ?`;
    const after = BigInt(count * SLICE_RECORD_BYTES + 1);
    this.#run(sql, encodeSliceRecords(by), after, signed(ino), BigInt(index));
  }

  removeChunk(ino: Ino, index: number): void {
    const sql = `DELETE FROM ${this.table('chunk')} WHERE inode = ? AND indx = ?`;
    this.#run(sql, signed(ino), BigInt(index));
  }

  addSlice(id: bigint, size: number): void {
    const sql = `INSERT INTO ${this.table('chunk_ref')} (chunkid, size, refs) VALUES (?, ?, 1)`;
    this.#run(sql, signed(id), BigInt(size));
  }

  addSliceRefs(id: bigint, size: number, delta: number, told?: (refs: number) => void): void {
    const sql = `UPDATE ${this.table('chunk_ref')} SET refs = refs + ?
      WHERE chunkid = ? AND size = ? RETURNING refs`;
    const row = this.database.get(sql, BigInt(delta), signed(id), BigInt(size));
    if (row !== undefined) told?.(Number(integer(row, 'refs')));
  }

  putSliceRefs(id: bigint, size: number, refs: number): void {
    const sql = `INSERT INTO ${this.table('chunk_ref')} (chunkid, size, refs) VALUES (?, ?, ?)
      ON CONFLICT (chunkid) DO UPDATE SET refs = excluded.refs`;
    this.#run(sql, signed(id), BigInt(size), BigInt(refs));
  }

  forgetSlice(id: bigint, size: number): void {
    const sql = `DELETE FROM ${this.table('chunk_ref')}
      WHERE chunkid = ? AND size = ? AND refs <= 0`;
    this.#run(sql, signed(id), BigInt(size));
  }

  putDelayed({ id, seconds }: DelayedName, slices: readonly SliceSize[]): void {
    const sql = `INSERT INTO ${this.table('delslices')} (chunkid, deleted, slices)
      VALUES (?, ?, ?)`;
    this.#run(sql, signed(id), BigInt(seconds), encodeSliceSizes(slices));
  }

  dropDelayed({ id }: DelayedName): void {
    this.#run(`DELETE FROM ${this.table('delslices')} WHERE chunkid = ?`, signed(id));
  }

  putJobStamp(job: JobName, seconds: number): void {
    const sql = `INSERT INTO ${this.table('counter')} (name, value) VALUES (?, ?)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
    this.#run(sql, job, BigInt(seconds));
  }

  dropDeletion(ino: Ino): void {
    this.#deleteOf('delfile', ino);
  }

  queueDeletion(ino: Ino, length: bigint): void {
    const sql = `INSERT INTO ${this.table('delfile')} (inode, length, expire) VALUES (?, ?, ?)
      ON CONFLICT (inode) DO UPDATE SET length = excluded.length, expire = excluded.expire`;
    this.#run(sql, signed(ino), signed(length), BigInt(this.now.seconds));
  }

  putDetached(ino: Ino): void {
    const sql = `INSERT INTO ${this.table('detached_node')} (inode, added) VALUES (?, ?)`;
    this.#run(sql, signed(ino), BigInt(this.now.seconds));
  }

  dropDetached(ino: Ino): void {
    this.#deleteOf('detached_node', ino);
  }

  sustain(ino: Ino): void {
    if (this.sid === undefined) return;
    const sql = `INSERT INTO ${this.table('sustained')} (sid, inode) VALUES (?, ?)
      ON CONFLICT (sid, inode) DO NOTHING`;
    this.#run(sql, signed(this.sid), signed(ino));
  }

  unsustain(ino: Ino, sid: bigint): void {
    const sql = `DELETE FROM ${this.table('sustained')} WHERE sid = ? AND inode = ?`;
    this.#run(sql, signed(sid), signed(ino));
  }

  addUsage({ space, inodes }: Usage): void {
    if (space !== 0n) addToCounter(this.database, 'usedSpace', space);
    if (inodes !== 0n) addToCounter(this.database, 'totalInodes', inodes);
  }

  initDirStats(dir: Ino): void {
    const sql = `INSERT INTO ${this.table('dir_stats')}
      (inode, data_length, used_space, used_inodes) VALUES (?, 0, 0, 0)
      ON CONFLICT (inode) DO NOTHING`;
    this.#run(sql, signed(dir));
  }

  dropDirStats(dir: Ino): void {
    this.#deleteOf('dir_stats', dir);
  }

  dropDirQuota(dir: Ino): void {
    this.#deleteOf('dir_quota', dir);
  }

  putDirQuota(
    dir: Ino,
    { maxBytes, maxInodes }: Pick<DirQuota, 'maxBytes' | 'maxInodes'>,
    used: Usage | undefined,
  ): void {
    const usage = ', used_space = excluded.used_space, used_inodes = excluded.used_inodes';
    const sql = `INSERT INTO ${this.table('dir_quota')}
      (inode, max_space, max_inodes, used_space, used_inodes) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (inode) DO UPDATE SET max_space = excluded.max_space,
      max_inodes = excluded.max_inodes${used === undefined ? '' : usage}`;
    const { space, inodes } = used ?? { space: 0n, inodes: 0n };
    this.#run(sql, signed(dir), maxBytes, maxInodes, space, inodes);
  }

  putOwnerQuota(
    kind: OwnerKind,
    id: number,
    { maxBytes, maxInodes }: Pick<DirQuota, 'maxBytes' | 'maxInodes'>,
    used: Usage | undefined,
  ): void {
    const usage = ', used_space = excluded.used_space, used_inodes = excluded.used_inodes';
    const sql = `INSERT INTO ${this.table('user_group_quota')}
      (qtype, qkey, max_space, max_inodes, used_space, used_inodes) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (qtype, qkey) DO UPDATE SET max_space = excluded.max_space,
      max_inodes = excluded.max_inodes${used === undefined ? '' : usage}`;
    const { space, inodes } = used ?? { space: 0n, inodes: 0n };
    this.#run(sql, OWNER_TYPE[kind], BigInt(id), maxBytes, maxInodes, space, inodes);
  }

  addDirStats(dir: Ino, { length, space, inodes }: DirStats): void {
    const sql = `UPDATE ${this.table('dir_stats')} SET data_length = data_length + ?,
      used_space = used_space + ?, used_inodes = used_inodes + ? WHERE inode = ?`;
    this.#run(sql, length, space, inodes, signed(dir));
  }

  noteStaleStats(dir: Ino): void {
    this.staleStats.add(dir);
  }

  addDirQuotaUsage(dir: Ino, { space, inodes }: Usage): void {
    const sql = `UPDATE ${this.table('dir_quota')} SET used_space = used_space + ?,
      used_inodes = used_inodes + ? WHERE inode = ?`;
    this.#run(sql, space, inodes, signed(dir));
  }

  addOwnerUsage(kind: OwnerKind, id: number, { space, inodes }: Usage): void {
    const sql = `INSERT INTO ${this.table('user_group_quota')}
      (qtype, qkey, max_space, max_inodes, used_space, used_inodes) VALUES (?, ?, -1, -1, ?, ?)
      ON CONFLICT (qtype, qkey) DO UPDATE SET used_space = used_space + excluded.used_space,
      used_inodes = used_inodes + excluded.used_inodes`;
    this.#run(sql, OWNER_TYPE[kind], BigInt(id), space, inodes);
  }

  putFlock(ino: Ino, holder: LockHolder, type: 'read' | 'write' | undefined): void {
    if (type === undefined) return this.#deleteLock('flock', ino, holder);
    const sql = `INSERT INTO ${this.table('flock')} (inode, sid, owner, ltype) VALUES (?, ?, ?, ?)
      ON CONFLICT (inode, sid, owner) DO UPDATE SET ltype = excluded.ltype`;
    this.#run(sql, signed(ino), signed(holder.sid), signed(holder.owner), LOCK_LETTER[type]);
  }

  putRangeLocks(ino: Ino, holder: LockHolder, ranges: readonly RangeLock[]): void {
    if (ranges.length === 0) return this.#deleteLock('plock', ino, holder);
    const sql = `INSERT INTO ${this.table('plock')} (inode, sid, owner, records)
      VALUES (?, ?, ?, ?) ON CONFLICT (inode, sid, owner) DO UPDATE SET records = excluded.records`;
    const { sid, owner } = holder;
    this.#run(sql, signed(ino), signed(sid), signed(owner), encodeRangeLocks(ranges));
  }

  async drawTrashNumber(): Promise<bigint> {
    return addToCounter(this.database, 'nextTrash', 1n);
  }

  async internAclRule(rule: AclRule): Promise<number> {
    const id = this.acl.intern(rule);
    if (id <= 0) throw new MetaError('corrupt', `SQLite: an ACL rule got the id ${id}`);
    return id;
  }

  #deleteLock(table: string, ino: Ino, { sid, owner }: LockHolder): void {
    const sql = `DELETE FROM ${this.table(table)} WHERE inode = ? AND sid = ? AND owner = ?`;
    this.#run(sql, signed(ino), signed(sid), signed(owner));
  }

  #deleteOf(table: string, ino: Ino): void {
    this.#run(`DELETE FROM ${this.table(table)} WHERE inode = ?`, signed(ino));
  }

  #run(sql: string, ...values: SqlValue[]): void {
    this.database.run(sql, ...values);
  }
}
