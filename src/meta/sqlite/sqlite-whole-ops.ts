import { decodeSliceRecords } from '../../block/slice-record.ts';
import { toIno } from '../../posix/ino.ts';
import { MetaError } from '../engine.ts';
import { decodeSliceSizes } from '../slice-sizes.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps } from './sqlite-protocol.ts';
import { OWNER_TYPE } from './sqlite-tx-reads.ts';
import { bytes, integer, toQuota, unsigned64 } from './sqlite-values.ts';

type WholeOps = Pick<
  SqliteOps,
  'chunksAfter' | 'waitingSlices' | 'dirQuotas' | 'ownerQuotas' | 'counters'
>;

/** What is read of the whole volume by those who check it. */
export function wholeOps(database: SqliteDatabase): WholeOps {
  const table = (name: string) => database.table(name);
  return {
    chunksAfter(row, limit) {
      // Appending makes the value a text, whose length ends at the first zero byte: hence the cast.
      const sql = `SELECT id, inode, indx, CAST(slices AS BLOB) AS slices FROM ${table('chunk')}
        WHERE id > ? ORDER BY id LIMIT ?`;
      return database.all(sql, row, BigInt(limit)).map((found) => ({
        row: integer(found, 'id'),
        ino: toIno(unsigned64(found, 'inode')),
        index: Number(integer(found, 'indx')),
        records: decodeSliceRecords(bytes(found, 'slices')),
      }));
    },
    waitingSlices() {
      const sql = `SELECT chunkid, CAST(slices AS BLOB) AS slices FROM ${table('delslices')}`;
      return database.all(sql).flatMap((row) => {
        const slices = decodeSliceSizes(bytes(row, 'slices'));
        if (slices !== undefined) return slices;
        throw new MetaError('corrupt', `delslices ${integer(row, 'chunkid')}`);
      });
    },
    dirQuotas() {
      if (database.columns('dir_quota').size === 0) return [];
      return database.all(`SELECT * FROM ${table('dir_quota')}`).map((row) => ({
        dir: toIno(unsigned64(row, 'inode')),
        quota: toQuota(row),
      }));
    },
    ownerQuotas(kind) {
      if (database.columns('user_group_quota').size === 0) return [];
      const sql = `SELECT * FROM ${table('user_group_quota')} WHERE qtype = ?`;
      return database.all(sql, OWNER_TYPE[kind]).map((row) => ({
        id: Number(integer(row, 'qkey')),
        quota: toQuota(row),
      }));
    },
    counters() {
      const value = (name: string) => {
        const row = database.get(`SELECT value FROM ${table('counter')} WHERE name = ?`, name);
        return row === undefined ? 0n : integer(row, 'value');
      };
      return {
        ...{ usedBytes: value('usedSpace'), inodes: value('totalInodes') },
        ...{ nextInode: value('nextInode'), nextChunk: value('nextChunk') },
        ...{ nextSession: value('nextSession'), nextTrash: value('nextTrash') },
      };
    },
  };
}
