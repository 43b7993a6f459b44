import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';
import { encodeAttr } from '../../src/meta/attr-codec.ts';
import { type Attr, FileType } from '../../src/posix/attr.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { SQLITE_SCHEMA } from './sqlite-schema.ts';
import { makeTempDir } from './temp.ts';

/** The trash directory's inode. */
const TRASH = 0x7fff_ffff_1000_0000n;
const SECOND = 1_700_000_000;

/** Fields of the setting that are to differ. */
export type SettingFields = Readonly<Record<string, unknown>>;

/** A fresh volume, as the format command of JuiceFS leaves it. */
export interface EmptyVolume {
  readonly metaUrl: string;
  /** Changes fields of the setting. */
  change(fields: SettingFields): Promise<void>;
  stop(): Promise<void>;
}

/** The setting of a fresh volume in a bucket of the local file system. */
export function emptySetting(bucket: string, fields: SettingFields): Record<string, unknown> {
  return {
    ...{ Name: 'written', UUID: randomUUID(), Storage: 'file', Bucket: bucket, BlockSize: 4096 },
    ...{ Compression: 'none', EncryptAlgo: 'aes256gcm-rsa', TrashDays: 0, MetaVersion: 1 },
    ...{ MinClientVersion: '1.1.0-A', DirStats: true, EnableACL: false, ...fields },
  };
}

/** On a Redis server of its own. @param args - more of the server's arguments */
export async function emptyRedisVolume(
  fields: SettingFields = {},
  args: readonly string[] = [],
): Promise<EmptyVolume & { readonly redis: RedisServer; readonly client: Redis }> {
  const redis = await startRedis({ args });
  const client = new Redis(redis.url);
  const setting = emptySetting(`${await makeTempDir('bucket')}/`, fields);
  await client.set('setting', JSON.stringify(setting));
  await client.set(`i${ROOT_INO}`, Buffer.from(encodeAttr(directory(0o777))));
  await client.set(`i${TRASH}`, Buffer.from(encodeAttr(directory(0o555))));
  return {
    ...{ redis, client, metaUrl: redis.url },
    change: async (changed) => {
      await client.set('setting', JSON.stringify({ ...setting, ...changed }));
    },
    stop: async () => {
      client.disconnect();
      await redis.stop();
    },
  };
}

/** In a SQLite file of its own. */
export async function emptySqliteVolume(
  fields: SettingFields = {},
): Promise<EmptyVolume & { readonly database: DatabaseSync; readonly bucket: string }> {
  const dir = await makeTempDir('sqlite');
  const path = join(dir, 'meta.db');
  const database = new DatabaseSync(path, { timeout: 5000 });
  database.exec('PRAGMA journal_mode = WAL');
  database.exec(SQLITE_SCHEMA);
  const bucket = `${dir}/bucket/`;
  const setting = emptySetting(bucket, fields);
  const put = database.prepare('INSERT OR REPLACE INTO jfs_setting (name, value) VALUES (?, ?)');
  put.run('format', JSON.stringify(setting));
  const node = `INSERT INTO jfs_node (inode, type, flags, mode, uid, gid, atime, mtime, ctime, nlink,
    length, rdev, parent, access_acl_id, default_acl_id, tier_id)
    VALUES (?, 2, 0, ?, 0, 0, ?, ?, ?, 2, 4096, 0, 1, 0, 0, 0)`;
  const micros = BigInt(SECOND) * 1_000_000n;
  database.prepare(node).run(1n, 0o777, micros, micros, micros);
  database.prepare(node).run(TRASH, 0o555, micros, micros, micros);
  const counters = { nextInode: 2, nextChunk: 1, nextSession: 0, usedSpace: 0, totalInodes: 0 };
  for (const [name, value] of Object.entries({ ...counters, nextCleanupSlices: 0 })) {
    database.prepare('INSERT INTO jfs_counter (name, value) VALUES (?, ?)').run(name, value);
  }
  return {
    ...{ database, bucket, metaUrl: `sqlite3://${path}` },
    change: async (changed) => {
      put.run('format', JSON.stringify({ ...setting, ...changed }));
    },
    stop: async () => database.close(),
  };
}

function directory(mode: number): Attr {
  const time = { seconds: SECOND, nanoseconds: 0 };
  return {
    ...{ type: FileType.directory, mode, uid: 0, gid: 0, atime: time, mtime: time, ctime: time },
    ...{ nlink: 2, length: 4096n, rdev: 0, parent: ROOT_INO, flags: 0 },
    ...{ accessAclId: 0, defaultAclId: 0, tier: 0 },
  };
}
