import { type Ino, toIno } from '../../posix/ino.ts';
import { isFileType } from '../attr-codec.ts';
import { type DirEntry, type Entry, MetaError } from '../engine.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps, StoredPage } from './sqlite-protocol.ts';
import { attrColumns, bytes, toAttr, unsigned32, unsigned64 } from './sqlite-values.ts';

/** Names per page. */
const PAGE_NAMES = 1000;
/** Comes before every name. */
const NO_NAME = new Uint8Array(0);

/** Names in directories. */
export function nameOps(database: SqliteDatabase): Pick<SqliteOps, 'lookup' | 'readdir'> {
  const edge = database.table('edge');
  const node = database.table('node');
  const join = `LEFT JOIN ${node} n ON n.inode = e.inode`;
  const entryColumns = 'e.inode AS child, e.type AS child_type, n.inode AS found';
  return {
    lookup(parent, name): Entry | undefined {
      const sql = `SELECT ${entryColumns}, ${attrColumns(database)} FROM ${edge} e ${join}
        WHERE e.parent = ? AND e.name = ?`;
      const row = database.get(sql, BigInt.asIntN(64, parent), name);
      if (row === undefined) return undefined;
      const ino = toIno(unsigned64(row, 'child'));
      if (row['found'] !== null) return { ino, attr: toAttr(row) };
      throw new MetaError('corrupt', `d${parent}: a name has inode ${ino}, which is missing`);
    },
    readdir(ino, after, withAttrs): StoredPage {
      const from = `SELECT CAST(e.name AS BLOB) AS name, ${entryColumns}`;
      const where = `WHERE e.parent = ? AND e.name > ? ORDER BY e.name LIMIT ${PAGE_NAMES}`;
      const sql = withAttrs
        ? `${from}, ${attrColumns(database)} FROM ${edge} e ${join} ${where}`
        : `${from.replace('n.inode', 'NULL')} FROM ${edge} e ${where}`;
      const rows = database.all(sql, BigInt.asIntN(64, ino), after ?? NO_NAME);
      const entries = rows.map((row) => toEntry(ino, row));
      return { entries, last: rows.length < PAGE_NAMES ? undefined : entries.at(-1)?.name };
    },
  };
}

function toEntry(directory: Ino, row: Row): DirEntry {
  const type = unsigned32(row, 'child_type');
  if (!isFileType(type)) throw new MetaError('corrupt', `d${directory}: the type of a name`);
  return {
    name: bytes(row, 'name'),
    ino: toIno(unsigned64(row, 'child')),
    type,
    attr: row['found'] === null ? undefined : toAttr(row),
  };
}
