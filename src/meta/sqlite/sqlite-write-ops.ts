import { MetaError } from '../engine.ts';
import { runWriteOp, type WriteArgs, type WriteOp } from '../write/write-ops.ts';
import { SqliteAcl } from './sqlite-acl.ts';
import { addToCounter } from './sqlite-counters.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps, TransactRequest } from './sqlite-protocol.ts';
import { AskOpenError } from './sqlite-tx-reads.ts';
import { SqliteTx } from './sqlite-tx.ts';
import { NODE_ROW, signed } from './sqlite-values.ts';

type WritingOps = Pick<
  SqliteOps,
  'transact' | 'takeIds' | 'putDirStats' | 'hasDirQuotas' | 'checkWritable'
>;

/** What must be there; older clients' volumes lack some of it until a newer one has mounted them. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  node: NODE_ROW,
  edge: ['parent', 'name', 'inode', 'type'],
  symlink: ['target'],
  xattr: ['name', 'value'],
  chunk: ['indx', 'slices'],
  chunk_ref: ['chunkid', 'size', 'refs'],
  delslices: ['chunkid', 'deleted', 'slices'],
  sustained: ['sid', 'inode'],
  delfile: ['inode', 'length', 'expire'],
  flock: ['inode', 'sid', 'owner', 'ltype'],
  plock: ['inode', 'sid', 'owner', 'records'],
  dir_stats: ['inode', 'data_length', 'used_space', 'used_inodes'],
  dir_quota: ['inode', 'max_space', 'max_inodes', 'used_space', 'used_inodes'],
  user_group_quota: ['qtype', 'qkey', 'max_space', 'max_inodes', 'used_space', 'used_inodes'],
  acl: ['id', 'owner', 'group', 'mask', 'other', 'named_users', 'named_groups'],
};

/** Changes of the volume. */
export function writingOps(database: SqliteDatabase): WritingOps {
  const acl = new SqliteAcl(database);
  return {
    transact: (request) => transact(database, acl, request),
    takeIds: (counter, count) =>
      database.write(() => addToCounter(database, counter, BigInt(count)) - BigInt(count)),
    putDirStats(dir, { length, space, inodes }) {
      const sql = `INSERT INTO ${database.table('dir_stats')}
        (inode, data_length, used_space, used_inodes)
        SELECT inode, ?, ?, ? FROM ${database.table('node')} WHERE inode = ?
        ON CONFLICT (inode) DO UPDATE SET data_length = excluded.data_length,
        used_space = excluded.used_space, used_inodes = excluded.used_inodes`;
      database.run(sql, length, space, inodes, signed(dir));
    },
    hasDirQuotas: () =>
      database.get(`SELECT 1 FROM ${database.table('dir_quota')} LIMIT 1`) !== undefined,
    checkWritable() {
      for (const [table, columns] of Object.entries(NEEDED)) {
        const present = database.columns(table);
        const missing = columns.find((column) => !present.has(column));
        if (missing === undefined) continue;
        const message = `the volume has no column ${table}.${missing}: mount it with juicefs once`;
        throw new MetaError('incompatible', message);
      }
    },
  };
}

async function transact(database: SqliteDatabase, acl: SqliteAcl, request: TransactRequest) {
  const { op, args, context, open } = request;
  try {
    return await database.writeAsync(async () => {
      acl.begin();
      const tx = new SqliteTx({ database, acl, context, open });
      const result = await runWriteOp(tx, op, args as WriteArgs<WriteOp>);
      return { result, staleStats: [...tx.staleStats] };
    });
  } catch (error) {
    if (error instanceof AskOpenError) return { ask: error.ino };
    throw error;
  }
}
