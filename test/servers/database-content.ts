import { DatabaseSync } from 'node:sqlite';
import { Redis } from 'ioredis';

/** All that a database holds of a volume, but for its setting. */
export interface Content {
  readonly ids: Readonly<Record<string, number>>;
  /** Without the usage of root: symlinks and devices are not counted by the original client. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** All rows of all tables, without the numbers that rows get. */
export async function sqliteContent(metaUrl: string): Promise<Content> {
  const database = new DatabaseSync(metaUrl.slice('sqlite3://'.length), { readOnly: true });
  const tables = database
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'jfs%'`)
    .all();
  const ids: Record<string, number> = {};
  const rest: Record<string, unknown> = {};
  for (const { name } of tables) {
    const statement = database.prepare(`SELECT * FROM "${String(name)}"`);
    statement.setReadBigInts(true);
    const rows = statement.all().flatMap(({ id, ...row }) => {
      if (name === 'jfs_setting') return [];
      if (name === 'jfs_user_group_quota' && row['qkey'] === 0n) return [];
      // Holes are no slices.
      if (name === 'jfs_chunk_ref' && row['chunkid'] === 0n) return [];
      const isId = name === 'jfs_counter' && String(row['name']).startsWith('next');
      if (isId) ids[String(row['name'])] = Number(row['value']);
      return isId ? [] : [name === 'jfs_acl' ? { id, ...row } : row];
    });
    rest[String(name)] = rows.map(printed).toSorted();
  }
  database.close();
  return { ids, rest };
}

const printed = (row: unknown) =>
  JSON.stringify(row, (_key, value: unknown) =>
    typeof value === 'bigint'
      ? String(value)
      : value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : value,
  );

/** All values of all keys. */
export async function redisContent(metaUrl: string): Promise<Content> {
  const client = new Redis(metaUrl);
  const ids: Record<string, number> = {};
  const rest: Record<string, unknown> = {};
  for (const key of await client.keys('*')) {
    const type = await client.type(key);
    if (key === 'setting') continue;
    if (key.startsWith('next')) ids[key] = Number(await client.get(key));
    else if (type === 'string') rest[key] = (await client.getBuffer(key))?.toString('hex');
    else if (type === 'list') {
      rest[key] = (await client.lrangeBuffer(key, 0, -1)).map((each) => each.toString('hex'));
    } else if (type === 'zset') rest[key] = await client.zrange(key, '0', '-1', 'WITHSCORES');
    else {
      const fields = (await client.call('HGETALL', key)) as string[];
      const buffers = (await client.callBuffer('HGETALL', key)) as Buffer[];
      const pairs = buffers.flatMap((_, at) => {
        const isRoots = /^(user|group)Quota/.test(key) && fields[at] === '0';
        if (at % 2 === 1 || isRoots) return [];
        return [`${buffers[at]?.toString('hex')} ${buffers[at + 1]?.toString('hex')}`];
      });
      rest[key] = pairs.toSorted();
    }
  }
  client.disconnect();
  return { ids, rest };
}
