import type { Redis } from 'ioredis';
import { decodeSliceRecords, type SliceRecord } from '../../src/block/slice-record.ts';
import { decodeAttr } from '../../src/meta/attr-codec.ts';
import { decodeEdge } from '../../src/meta/edge-codec.ts';
import type { DirQuota } from '../../src/meta/engine.ts';
import type { Attr } from '../../src/posix/attr.ts';
import type { StateEdge, VolumeState } from './volume-state.ts';

/** Reads everything that a volume's metadata says. */
export async function redisState(redis: Redis): Promise<VolumeState> {
  const keys = await redis.keys('*');
  const inodesOf = (letter: string) =>
    keys.filter((key) => new RegExp(`^${letter}[0-9]+$`).test(key)).map((key) => key.slice(1));
  const number = async (key: string) => BigInt((await redis.get(key)) ?? '0');
  return {
    nodes: await readNodes(redis, inodesOf('i')),
    edges: await readEdges(redis, inodesOf('d')),
    links: new Map(
      await Promise.all(
        inodesOf('p').map(async (ino) => {
          const counts = Object.entries(await redis.hgetall(`p${ino}`));
          const map = new Map(counts.map(([dir, count]) => [BigInt(dir), Number(count)]));
          return [BigInt(ino), map] as const;
        }),
      ),
    ),
    symlinks: new Map(
      await Promise.all(
        inodesOf('s').map(async (ino) => {
          const target = await redis.getBuffer(`s${ino}`);
          return [BigInt(ino), target?.toString('latin1') ?? ''] as const;
        }),
      ),
    ),
    xattrs: await readXattrs(redis, inodesOf('x')),
    chunks: await readChunks(
      redis,
      keys.filter((key) => /^c[0-9]+_[0-9]+$/.test(key)),
    ),
    refs: new Map(
      Object.entries(await redis.hgetall('sliceRef')).map(([key, value]) => [
        key.slice(1),
        Number(value) + 1,
      ]),
    ),
    storesSingleRefs: false,
    delayed: await readDelayed(redis),
    usedSpace: await number('usedSpace'),
    totalInodes: await number('totalInodes'),
    dirStats: await readStats(redis),
    dirQuotas: new Map(
      [...(await readQuotas(redis, 'dirQuota'))].map(([id, quota]) => [BigInt(id), quota]),
    ),
    ownerQuotas: new Map([
      ...[...(await readQuotas(redis, 'userQuota'))].map(([id, q]) => [`user ${id}`, q] as const),
      ...[...(await readQuotas(redis, 'groupQuota'))].map(([id, q]) => [`group ${id}`, q] as const),
    ]),
    deleted: new Map(
      (await redis.zrange('delfiles', '0', '-1')).map((member) => {
        const [ino = '0', length = '0'] = member.split(':');
        return [BigInt(ino), BigInt(length)];
      }),
    ),
    sustained: await readSustained(redis, keys),
    locks: await readLocks(redis, keys),
  };
}

async function readNodes(redis: Redis, inos: readonly string[]): Promise<Map<bigint, Attr>> {
  const nodes = new Map<bigint, Attr>();
  for (const ino of inos) {
    const value = await redis.getBuffer(`i${ino}`);
    const attr = value === null ? undefined : decodeAttr(value);
    if (attr !== undefined) nodes.set(BigInt(ino), attr);
  }
  return nodes;
}

async function readEdges(redis: Redis, dirs: readonly string[]): Promise<StateEdge[]> {
  const edges: StateEdge[] = [];
  for (const dir of dirs) {
    const [names, values] = await Promise.all([
      redis.hkeysBuffer(`d${dir}`),
      redis.hvalsBuffer(`d${dir}`),
    ]);
    names.forEach((name, index) => {
      const edge = decodeEdge(values[index] ?? new Uint8Array());
      if (edge === undefined) throw new Error(`d${dir}: a name that cannot be read`);
      edges.push({ parent: BigInt(dir), name: name.toString('latin1'), ...edge });
    });
  }
  // Hashes have no order of their own.
  return edges.toSorted((a, b) => (`${a.parent} ${a.name}` < `${b.parent} ${b.name}` ? -1 : 1));
}

async function readXattrs(redis: Redis, inos: readonly string[]): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const ino of inos) {
    for (const name of await redis.hkeysBuffer(`x${ino}`)) {
      const value = await redis.hgetBuffer(`x${ino}`, name);
      all.set(`${ino} ${name.toString('latin1')}`, value?.toString('latin1') ?? '');
    }
  }
  return all;
}

async function readChunks(redis: Redis, keys: readonly string[]) {
  const chunks = new Map<string, readonly SliceRecord[]>();
  for (const key of keys) {
    const records = decodeSliceRecords(Buffer.concat(await redis.lrangeBuffer(key, 0, -1)));
    if (records === undefined) throw new Error(`${key} cannot be read`);
    chunks.set(key.slice(1), records);
  }
  return chunks;
}

async function readDelayed(redis: Redis): Promise<string[]> {
  const values = await redis.hvalsBuffer('delSlices');
  return values.flatMap((value) =>
    Array.from({ length: value.byteLength / 12 }, (_, index) => {
      const id = value.readBigUInt64BE(index * 12);
      return `${id}_${value.readUInt32BE(index * 12 + 8)}`;
    }),
  );
}

async function readStats(redis: Redis) {
  const [lengths, spaces, inodes] = await Promise.all(
    ['dirDataLength', 'dirUsedSpace', 'dirUsedInodes'].map((key) => redis.hgetall(key)),
  );
  return new Map(
    Object.entries(spaces ?? {}).map(([dir, space]) => [
      BigInt(dir),
      {
        length: BigInt(lengths?.[dir] ?? '0'),
        space: BigInt(space),
        inodes: BigInt(inodes?.[dir] ?? '0'),
      },
    ]),
  );
}

async function readQuotas(redis: Redis, key: string): Promise<Map<string, DirQuota>> {
  const quotas = new Map<string, DirQuota>();
  for (const id of await redis.hkeys(key)) {
    const limits = await redis.hgetBuffer(key, id);
    quotas.set(id, {
      maxBytes: limits?.readBigInt64BE(0) ?? 0n,
      maxInodes: limits?.readBigInt64BE(8) ?? 0n,
      usedBytes: BigInt((await redis.hget(`${key}UsedSpace`, id)) ?? '0'),
      usedInodes: BigInt((await redis.hget(`${key}UsedInodes`, id)) ?? '0'),
    });
  }
  return quotas;
}

async function readSustained(redis: Redis, keys: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const key of keys.filter((name) => /^session[0-9]+$/.test(name))) {
    for (const ino of await redis.smembers(key)) all.push(`${key.slice(7)} ${ino}`);
  }
  return all.sort();
}

async function readLocks(redis: Redis, keys: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const key of keys.filter((name) => /^lock[fp][0-9]+$/.test(name))) {
    for (const holder of await redis.hkeys(key)) {
      const value = await redis.hgetBuffer(key, holder);
      const shown = key.startsWith('lockf') ? value?.toString() : value?.toString('hex');
      all.push(`${key[4]} ${key.slice(5)} ${holder} ${shown}`);
    }
  }
  return all.sort();
}
