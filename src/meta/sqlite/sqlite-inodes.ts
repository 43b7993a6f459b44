import { decodeSliceRecords, type SliceRecord } from '../../block/slice-record.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { MetaError } from '../engine.ts';
import { readAclRule } from './sqlite-acl.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps } from './sqlite-protocol.ts';
import {
  attrColumns,
  bytes,
  integer,
  signed,
  toAttr,
  toQuota,
  unsigned64,
} from './sqlite-values.ts';

type InodeOps = Pick<
  SqliteOps,
  'getattrs' | 'readlink' | 'getxattr' | 'listxattr' | 'readChunk' | 'readFirstChunks' | 'parents'
>;
type VolumeOps = Pick<SqliteOps, 'checkVolume' | 'loadSetting' | 'aclRule' | 'usage' | 'dirQuota'>;

/** What is stored for one inode. */
export function inodeOps(database: SqliteDatabase): InodeOps {
  const [node, symlink, xattr, chunk, edge] = ['node', 'symlink', 'xattr', 'chunk', 'edge'].map(
    (name) => database.table(name),
  );
  const blob = (sql: string, ...values: (bigint | Uint8Array)[]): Uint8Array | undefined => {
    const row = database.get(sql, ...values);
    return row === undefined ? undefined : bytes(row, 'value');
  };
  const slices = (ino: Ino, index: number): SliceRecord[] | undefined => {
    // Appending makes the value a text, whose length ends at the first zero byte: hence the cast.
    const sql = `SELECT CAST(slices AS BLOB) AS value FROM ${chunk} WHERE inode = ? AND indx = ?`;
    return decodeSliceRecords(blob(sql, signed(ino), BigInt(index)) ?? new Uint8Array());
  };
  return {
    getattrs(inos) {
      const sql = `SELECT ${attrColumns(database)} FROM ${node} n WHERE n.inode = ?`;
      return inos.map((ino) => {
        const row = database.get(sql, BigInt.asIntN(64, ino));
        return row === undefined ? undefined : toAttr(row);
      });
    },
    readlink: (ino) =>
      blob(`SELECT CAST(target AS BLOB) AS value FROM ${symlink} WHERE inode = ?`, signed(ino)),
    // The column is text, but names are any bytes.
    getxattr: (ino, name) =>
      blob(
        `SELECT CAST(value AS BLOB) AS value FROM ${xattr}
         WHERE inode = ? AND name = CAST(? AS TEXT)`,
        signed(ino),
        name,
      ),
    listxattr(ino) {
      const sql = `SELECT CAST(name AS BLOB) AS name FROM ${xattr} WHERE inode = ? ORDER BY name`;
      return database.all(sql, signed(ino)).map((row) => bytes(row, 'name'));
    },
    readChunk(ino, index) {
      const records = slices(ino, index);
      if (records !== undefined) return records;
      throw new MetaError('corrupt', `the slice list c${ino}_${index}`);
    },
    readFirstChunks: (inos) => inos.map((ino) => slices(ino, 0)),
    parents(ino) {
      const sql = `SELECT DISTINCT parent FROM ${edge} WHERE inode = ?`;
      return database.all(sql, signed(ino)).map((row) => toIno(unsigned64(row, 'parent')));
    },
  };
}

/** What is stored for the volume as a whole. */
export function volumeOps(database: SqliteDatabase): VolumeOps {
  const loadSetting = (): Uint8Array => {
    database.noteSchemaChange();
    const sql = `SELECT CAST(value AS BLOB) AS value FROM ${database.table('setting')}
      WHERE name = 'format'`;
    const row = database.columns('setting').size === 0 ? undefined : database.get(sql);
    const value = row === undefined ? undefined : bytes(row, 'value');
    if (value !== undefined && value.byteLength > 0) return value;
    throw new MetaError('no-volume', 'the database holds no volume');
  };
  const counter = (name: string): bigint => {
    const sql = `SELECT value FROM ${database.table('counter')} WHERE name = ?`;
    const row = database.get(sql, name);
    return row === undefined ? 0n : integer(row, 'value');
  };
  return {
    loadSetting,
    checkVolume: () => void loadSetting(),
    usage: () => ({ usedBytes: counter('usedSpace'), inodes: counter('totalInodes') }),
    aclRule: (id) => readAclRule(database, id),
    dirQuota(ino) {
      if (database.columns('dir_quota').size === 0) return undefined;
      const sql = `SELECT max_space, max_inodes, used_space, used_inodes
        FROM ${database.table('dir_quota')} WHERE inode = ?`;
      const row = database.get(sql, signed(ino));
      return row && toQuota(row);
    },
  };
}
