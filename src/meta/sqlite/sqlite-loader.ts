import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { encodeSliceRecords } from '../../block/slice-record.ts';
import { encodeAclNames } from '../acl-codec.ts';
import { type DirQuota, MetaError } from '../engine.ts';
import type { LoadRecord, VolumeLoader } from '../volume-loader.ts';
import type { VolumeCounters } from '../write/scans.ts';
import { schemaOf } from './sqlite-schema.ts';
import { OWNER_TYPE } from './sqlite-tx-reads.ts';
import { parseSqliteUrl, type SqliteUrl } from './sqlite-url.ts';
import { NODE_ROW, nodeValues, signed } from './sqlite-values.ts';

/** For another writer, as original clients wait. */
const BUSY_TIMEOUT_MS = 5000;

/**
 * Makes a volume in a SQLite file, in one transaction. Blocks its thread: only for commands that do
 * nothing else.
 */
export class SqliteLoader implements VolumeLoader {
  readonly displayUrl: string;
  readonly #url: SqliteUrl;
  #database: DatabaseSync | undefined;
  #isNewFile = false;
  #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  /** @throws MetaError `bad-url` */
  constructor(url: string) {
    this.displayUrl = url;
    this.#url = parseSqliteUrl(url);
  }

  async begin(): Promise<void> {
    this.#isNewFile = !existsSync(this.#url.path);
    this.#attempt(() => {
      const database = new DatabaseSync(this.#url.path, { timeout: BUSY_TIMEOUT_MS });
      this.#database = database;
      database.exec('BEGIN IMMEDIATE');
      const sql = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`;
      const table = database.prepare(sql).get()?.['name'];
      if (table !== undefined) {
        const message = `${this.displayUrl} is not empty: it has a table ${String(table)}`;
        throw new MetaError('refused', message);
      }
      for (const statement of schemaOf(this.#url.tablePrefix)) database.exec(statement);
    });
  }

  async put(records: readonly LoadRecord[]): Promise<void> {
    this.#attempt(() => {
      for (const record of records) this.#put(record);
    });
  }

  async finish(setting: Uint8Array, counters: VolumeCounters): Promise<void> {
    const { usedBytes, inodes, nextInode, nextChunk, nextSession, nextTrash } = counters;
    const rows = {
      ...{ usedSpace: usedBytes, totalInodes: inodes },
      ...{ nextInode, nextChunk, nextSession, nextTrash },
    };
    this.#attempt(() => {
      for (const [name, value] of Object.entries(rows)) {
        this.#insert('counter', { name, value });
      }
      this.#insert('setting', { name: 'format', value: Buffer.from(setting).toString('utf8') });
      this.#statements.clear();
      this.#known().exec('COMMIT');
      this.#known().exec('PRAGMA journal_mode = WAL');
    });
  }

  async abandon(): Promise<void> {
    this.#attempt(() => {
      this.#statements.clear();
      if (this.#known().isTransaction) this.#known().exec('ROLLBACK');
    });
    await this.close();
    if (this.#isNewFile) await rm(this.#url.path, { force: true });
  }

  async close(): Promise<void> {
    this.#statements.clear();
    this.#database?.close();
    this.#database = undefined;
  }

  #put(record: LoadRecord): void {
    switch (record.kind) {
      case 'node':
        return this.#insertRow('node', NODE_ROW, nodeValues(record.ino, record.attr));
      case 'edge': {
        const { dir, name, edge } = record;
        const row = { parent: signed(dir), name, inode: signed(edge.ino), type: BigInt(edge.type) };
        return this.#insert('edge', row);
      }
      case 'symlink':
        return this.#insert('symlink', { inode: signed(record.ino), target: record.target });
      case 'xattr':
        return this.#putXattr(record);
      case 'chunk': {
        const slices = encodeSliceRecords(record.records);
        return this.#insert('chunk', {
          ...{ inode: signed(record.ino), indx: BigInt(record.index), slices },
        });
      }
      case 'stats': {
        const { length, space, inodes } = record.stats;
        const usage = { data_length: length, used_space: space, used_inodes: inodes };
        return this.#insert('dir_stats', { inode: signed(record.dir), ...usage });
      }
      case 'acl':
        return this.#putAcl(record);
      case 'reference':
        return this.#putReference(record);
      case 'links': {
        const nlink = [...record.more.values()].reduce((sum, count) => sum + count, 1);
        const sql = `UPDATE ${this.#table('node')} SET nlink = ?, parent = 0 WHERE inode = ?`;
        return this.#run(sql, BigInt(nlink), signed(record.ino));
      }
      case 'deleted': {
        const { ino, length, seconds } = record;
        const row = { inode: signed(ino), length: signed(length), expire: seconds };
        return this.#insert('delfile', row);
      }
      case 'dirQuota':
        return this.#insert('dir_quota', { inode: signed(record.dir), ...quotaRow(record.quota) });
      case 'ownerQuota': {
        const { owner, id, quota } = record;
        const key = { qtype: OWNER_TYPE[owner], qkey: BigInt(id) };
        return this.#insert('user_group_quota', { ...key, ...quotaRow(quota) });
      }
    }
  }

  #putXattr({ ino, name, value }: Extract<LoadRecord, { kind: 'xattr' }>): void {
    const sql = `INSERT INTO ${this.#table('xattr')} (inode, name, value)
      VALUES (?, CAST(? AS TEXT), ?) ON CONFLICT (inode, name) DO UPDATE SET value = excluded.value`;
    this.#run(sql, signed(ino), name, value);
  }

  #putAcl({ id, rule }: Extract<LoadRecord, { kind: 'acl' }>): void {
    const [owner, group, mask, other] = [rule.owner, rule.group, rule.mask, rule.other];
    this.#insert('acl', {
      ...{ id: BigInt(id), owner: BigInt(owner), group: BigInt(group), mask: BigInt(mask) },
      ...{ other: BigInt(other), named_users: encodeAclNames(rule.users) },
      named_groups: encodeAclNames(rule.groups),
    });
  }

  #putReference({ id, size }: Extract<LoadRecord, { kind: 'reference' }>): void {
    const sql = `INSERT INTO ${this.#table('chunk_ref')} (chunkid, size, refs) VALUES (?, ?, 1)
      ON CONFLICT (chunkid) DO UPDATE SET refs = refs + 1`;
    this.#run(sql, signed(id), BigInt(size));
  }

  #insert(table: string, row: Readonly<Record<string, SQLInputValue>>): void {
    this.#insertRow(table, Object.keys(row), Object.values(row));
  }

  #insertRow(table: string, columns: readonly string[], values: readonly SQLInputValue[]): void {
    const names = columns.map((column) => `"${column}"`).join(', ');
    const places = columns.map(() => '?').join(', ');
    this.#run(`INSERT INTO ${this.#table(table)} (${names}) VALUES (${places})`, ...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#known().prepare(sql);
      this.#statements.set(sql, statement);
    }
    statement.run(...values);
  }

  #table(name: string): string {
    return `"${this.#url.tablePrefix}${name}"`;
  }

  #known(): DatabaseSync {
    if (this.#database === undefined) throw new MetaError('unavailable', 'SQLite: not begun');
    return this.#database;
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof MetaError) throw error;
      const message = `SQLite: ${this.#url.path}: ${(error as Error).message}`;
      throw new MetaError('refused', message, { cause: error });
    }
  }
}

function quotaRow({ maxBytes, maxInodes, usedBytes, usedInodes }: DirQuota) {
  return {
    ...{ max_space: maxBytes, max_inodes: maxInodes },
    ...{ used_space: usedBytes, used_inodes: usedInodes },
  };
}
