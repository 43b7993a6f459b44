import { decodeSliceRecords } from '../../block/slice-record.ts';
import { toIno } from '../../posix/ino.ts';
import { decodeAclNames } from '../acl-codec.ts';
import type { AclName, AclRule } from '../acl.ts';
import { MetaError } from '../engine.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps } from './sqlite-protocol.ts';
import { attrColumns, bytes, integer, toAttr, unsigned32, unsigned64 } from './sqlite-values.ts';

type InodeOps = Pick<
  SqliteOps,
  'getattrs' | 'readlink' | 'getxattr' | 'listxattr' | 'readChunk' | 'parents'
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
      // Appending makes the value a text, whose length ends at the first zero byte: hence the cast.
      const sql = `SELECT CAST(slices AS BLOB) AS value FROM ${chunk} WHERE inode = ? AND indx = ?`;
      const records = decodeSliceRecords(blob(sql, signed(ino), BigInt(index)) ?? new Uint8Array());
      if (records !== undefined) return records;
      throw new MetaError('corrupt', `the slice list c${ino}_${index}`);
    },
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
    aclRule(id) {
      // Volumes from before ACLs have no such table.
      if (database.columns('acl').size === 0) return undefined;
      const sql = `SELECT owner, "group", mask, other, CAST(named_users AS BLOB) AS named_users,
        CAST(named_groups AS BLOB) AS named_groups FROM ${database.table('acl')} WHERE id = ?`;
      const row = database.get(sql, BigInt(id));
      return row === undefined ? undefined : toRule(id, row);
    },
    dirQuota(ino) {
      if (database.columns('dir_quota').size === 0) return undefined;
      const sql = `SELECT max_space, max_inodes, used_space, used_inodes
        FROM ${database.table('dir_quota')} WHERE inode = ?`;
      const row = database.get(sql, signed(ino));
      if (row === undefined) return undefined;
      return {
        maxBytes: integer(row, 'max_space'),
        maxInodes: integer(row, 'max_inodes'),
        usedBytes: integer(row, 'used_space'),
        usedInodes: integer(row, 'used_inodes'),
      };
    },
  };
}

function toRule(id: number, row: Row): AclRule {
  const names = (column: string): AclName[] => {
    const list = row[column] === null ? [] : decodeAclNames(bytes(row, column));
    if (list === undefined) throw new MetaError('corrupt', `the ACL rule ${id}`);
    return list;
  };
  return {
    owner: unsigned32(row, 'owner'),
    group: unsigned32(row, 'group'),
    mask: unsigned32(row, 'mask'),
    other: unsigned32(row, 'other'),
    users: names('named_users'),
    groups: names('named_groups'),
  };
}

/** SQLite's integers are signed. */
function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}
