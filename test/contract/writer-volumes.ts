import type { DirQuota } from '../../src/meta/engine.ts';
import type { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { redisState } from './redis-state.ts';
import { sqliteState } from './sqlite-state.ts';
import type { WriterVolume } from './writer-bench.ts';

/** A Redis volume for the writer's tests. */
export function redisWriterVolume(
  volume: Awaited<ReturnType<typeof emptyRedisVolume>>,
): WriterVolume {
  const { client, metaUrl, change, stop } = volume;
  const setQuota = async (key: string, id: bigint | number, quota: DirQuota) => {
    const limits = Buffer.alloc(16);
    limits.writeBigInt64BE(quota.maxBytes);
    limits.writeBigInt64BE(quota.maxInodes, 8);
    await client.hset(key, String(id), limits);
    await client.hset(`${key}UsedSpace`, String(id), String(quota.usedBytes));
    await client.hset(`${key}UsedInodes`, String(id), String(quota.usedInodes));
  };
  return {
    ...{ metaUrl, change, stop },
    state: () => redisState(client),
    setDirQuota: (dir, quota) => setQuota('dirQuota', dir, quota),
    setOwnerQuota: (kind, id, quota) => setQuota(`${kind}Quota`, id, quota),
  };
}

/** A SQLite volume for the writer's tests. */
export function sqliteWriterVolume(
  volume: Awaited<ReturnType<typeof emptySqliteVolume>>,
): WriterVolume {
  const { database, metaUrl, change, stop } = volume;
  const values = ({ maxBytes, maxInodes, usedBytes, usedInodes }: DirQuota) =>
    [maxBytes, maxInodes, usedBytes, usedInodes] as const;
  return {
    ...{ metaUrl, change, stop },
    state: async () => sqliteState(database),
    setDirQuota: async (dir, quota) => {
      const sql = 'INSERT OR REPLACE INTO jfs_dir_quota VALUES (?, ?, ?, ?, ?)';
      database.prepare(sql).run(dir, ...values(quota));
    },
    setOwnerQuota: async (kind, id, quota) => {
      const sql = 'INSERT OR REPLACE INTO jfs_user_group_quota VALUES (?, ?, ?, ?, ?, ?)';
      database.prepare(sql).run(kind === 'user' ? 1 : 2, id, ...values(quota));
    },
  };
}
