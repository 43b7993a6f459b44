import { toIno } from '../../posix/ino.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps } from './sqlite-protocol.ts';
import { integer, signed, unsigned64 } from './sqlite-values.ts';

type ScanOps = Pick<
  SqliteOps,
  | 'deletedFiles'
  | 'chunkIndexes'
  | 'unusedSlices'
  | 'delayedSlices'
  | 'staleSessions'
  | 'sustained'
  | 'dropLocks'
>;

/** What background work looks for. */
export function scanOps(database: SqliteDatabase): ScanOps {
  const table = (name: string) => database.table(name);
  return {
    deletedFiles(before, limit) {
      const sql = `SELECT inode, length FROM ${table('delfile')} WHERE expire <= ?
        ORDER BY expire LIMIT ?`;
      return database.all(sql, BigInt(before), BigInt(limit)).map((row) => ({
        ino: toIno(unsigned64(row, 'inode')),
        length: unsigned64(row, 'length'),
      }));
    },
    chunkIndexes(ino) {
      const sql = `SELECT indx FROM ${table('chunk')} WHERE inode = ?`;
      return database.all(sql, signed(ino)).map((row) => Number(integer(row, 'indx')));
    },
    unusedSlices(limit) {
      const sql = `SELECT chunkid, size FROM ${table('chunk_ref')} WHERE refs <= 0 LIMIT ?`;
      return database.all(sql, BigInt(limit)).map((row) => ({
        id: unsigned64(row, 'chunkid'),
        size: Number(integer(row, 'size')),
      }));
    },
    delayedSlices(before, limit) {
      const sql = `SELECT chunkid, deleted FROM ${table('delslices')} WHERE deleted < ? LIMIT ?`;
      return database.all(sql, BigInt(before), BigInt(limit)).map((row) => ({
        id: unsigned64(row, 'chunkid'),
        seconds: Number(integer(row, 'deleted')),
      }));
    },
    staleSessions(now, limit) {
      const sql = `SELECT sid FROM ${table('session2')} WHERE expire < ? LIMIT ?`;
      return database.all(sql, BigInt(now), BigInt(limit)).map((row) => unsigned64(row, 'sid'));
    },
    sustained(sid) {
      const sql = `SELECT inode FROM ${table('sustained')} WHERE sid = ?`;
      return database.all(sql, signed(sid)).map((row) => toIno(unsigned64(row, 'inode')));
    },
    dropLocks(sid) {
      database.write(() => {
        for (const name of ['flock', 'plock']) {
          database.run(`DELETE FROM ${table(name)} WHERE sid = ?`, signed(sid));
        }
      });
    },
  };
}
