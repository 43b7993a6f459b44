import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { contradictions } from '../contract/check-state.ts';
import { redisState } from '../contract/redis-state.ts';
import { sqliteState } from '../contract/sqlite-state.ts';
import type { VolumeState } from '../contract/volume-state.ts';
import { text, user, WriterBench, type WriterVolume } from '../contract/writer-bench.ts';
import { redisWriterVolume, sqliteWriterVolume } from '../contract/writer-volumes.ts';
import { type Ended, runToEnd } from '../servers/cli.ts';
import { runHere } from '../servers/cli-here.ts';
import { DAEMON_PROGRAM } from '../servers/daemon-program.ts';
import { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { redisContent, sqliteContent } from '../servers/database-content.ts';
import { emptyDatabase } from '../servers/formatted-volume.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';

const FIELDS = {
  ...{ TrashDays: 1, EnableACL: true, UserGroupQuota: true, SecretKey: 'secret' },
  MinClientVersion: '1.2.0-A',
};
const MIB = 2 ** 20;
type Place = { readonly ino: Ino; readonly offset: bigint };

/** Everything that a volume may have. */
async function fill(volume: WriterVolume): Promise<WriterBench> {
  const bench = await WriterBench.on(volume);
  const { writer, root } = bench;
  const top = await bench.mkdir('top', ROOT_INO, 0o777, user(7, 8));
  const file = await bench.file('a "file" ä%', top, 5000, user(7, 8));
  await bench.write(file, 100, 20);
  await bench.write(file, 3 * 64 * MIB + 7, 3000);
  await writer.truncate(file, 4n * 64n * BigInt(MIB), root);
  const copy = await bench.file('copy', top);
  const [from, to] = [file, copy].map((ino) => ({ ino, offset: 0n })) as [Place, Place];
  const range = { from, to, length: 5000n };
  await writer.copyFileRange(range, root);
  const other = await bench.mkdir('other', top, 0o700, user(9));
  for (const [dir, name] of [
    [ROOT_INO, 'hard'],
    [other, 'hard'],
    [other, 'hard again'],
  ] as const) {
    await writer.link(file, { parent: dir, name: text(name) }, root);
  }
  const node = { mode: 0o600, umask: 0 };
  const strange = { parent: top, name: Uint8Array.of(0x61, 0xff, 0x0a) };
  await writer.mknod(strange, { ...node, type: FileType.charDevice, rdev: 259 }, root);
  const link = { ...node, type: FileType.symlink, target: text('a "file"') };
  await writer.mknod({ parent: top, name: text('link') }, link, root);
  const xattr = { name: text('user.x'), value: Uint8Array.of(0, 255), how: 'any' } as const;
  await writer.setxattr(file, xattr, root);
  const rule = { owner: 6, group: 4, other: 0, mask: 6, groups: [] };
  const users = [{ id: 7, perm: 6 }];
  await writer.setAcl(file, { kind: 'access', rule: { ...rule, users } }, root);
  await writer.setAcl(other, { kind: 'default', rule: { ...rule, users } }, root);
  for (let number = 0; number < 150; number += 1) await bench.file(`f${number}`, other);
  await bench.file('removed', top, 10, user(7, 8));
  await writer.unlink({ parent: top, name: text('removed') }, root);
  await bench.mkdir('gone', top);
  await writer.rmdir({ parent: top, name: text('gone') }, root);
  await bench.file('deleted', top, 20);
  await writer.unlink({ parent: top, name: text('deleted') }, root, { skipTrash: true });
  const none = { usedBytes: 0n, usedInodes: 0n };
  const limits = { maxBytes: 1n << 30n, maxInodes: -1n, ...none };
  await volume.setDirQuota(top, limits);
  const { usedBytes, usedInodes } = (await volume.state()).ownerQuotas.get('user 7') ?? none;
  await volume.setOwnerQuota('user', 7, { ...limits, usedBytes, usedInodes });
  await volume.setDirQuota(other, { maxBytes: -1n, maxInodes: 999n, ...none });
  return bench;
}

describe.each([
  ['redis', async () => redisWriterVolume(await emptyRedisVolume(FIELDS))],
  ['sqlite', async () => sqliteWriterVolume(await emptySqliteVolume(FIELDS))],
] as const)('a dump of a volume, loaded into %s', (engine, make) => {
  let volume: WriterVolume;
  let bench: WriterBench;
  let dir: string;
  let dump: string;

  beforeAll(async () => {
    dir = await makeTempDir('load');
    volume = await make();
    bench = await fill(volume);
    dump = join(dir, 'dump.json');
    const dumped = await runHere(['dump', volume.metaUrl, dump, '--keep-secret-key']);
    if (dumped.status !== 0) throw new Error(dumped.stderr);
  });

  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });

  /** Loads into an empty database of the same kind, and reads that. */
  async function loaded<T>(
    run: (words: readonly string[]) => Promise<Ended>,
    file: string,
    read: (metaUrl: string) => Promise<T>,
  ): Promise<T> {
    const database = await emptyDatabase(engine);
    try {
      const done = await run(['load', database.metaUrl, file]);
      expect(done).toMatchObject({ status: 0 });
      return await read(database.metaUrl);
    } finally {
      await database.stop();
    }
  }

  async function stateOf(metaUrl: string): Promise<VolumeState> {
    if (engine === 'sqlite') {
      const database = new DatabaseSync(metaUrl.slice('sqlite3://'.length));
      try {
        return sqliteState(database);
      } finally {
        database.close();
      }
    }
    const client = new Redis(metaUrl);
    try {
      return await redisState(client);
    } finally {
      client.disconnect();
    }
  }

  const contentOf = (metaUrl: string) =>
    engine === 'redis' ? redisContent(metaUrl) : sqliteContent(metaUrl);

  test('is the volume that was dumped', async () => {
    const before = await volume.state();
    const after = await loaded(runHere, dump, stateOf);
    // Data of deleted files is in no dump: gc finds it.
    const [deleted = 0n] = before.deleted.keys();
    const isOfDeleted = ([place]: readonly [string, unknown]) => place.startsWith(`${deleted}_`);
    const pick = (state: VolumeState) => ({
      ...{ nodes: state.nodes, links: state.links, symlinks: state.symlinks, xattrs: state.xattrs },
      ...{ usedSpace: state.usedSpace, totalInodes: state.totalInodes, deleted: state.deleted },
      ...{ ownerQuotas: state.ownerQuotas, dirs: new Set(state.dirQuotas.keys()) },
      chunks: new Map([...state.chunks].filter((chunk) => !isOfDeleted(chunk))),
      edges: state.edges.map(({ parent, name, ino, type }) => `${parent} ${name} ${ino} ${type}`),
    });
    const [expected, found] = [pick(before), pick(after)];
    expect(found).toEqual({ ...expected, edges: expect.any(Array) });
    expect(found.edges.toSorted()).toEqual(expected.edges.toSorted());
    for (const [dir, stats] of before.dirStats) expect(after.dirStats.get(dir)).toEqual(stats);
    expect(contradictions(after)).toEqual([]);
    // What quotas are charged with is counted anew: the ones of the test began with nothing.
    const top = (await bench.find('top'))?.ino ?? 0n;
    expect(after.dirQuotas.get(top)?.usedInodes).toBe(157n);
  });

  test.skipIf(!hasStock)('makes the database that the original client makes', async () => {
    const theirDump = join(dir, 'theirs.json');
    const words = ['dump', volume.metaUrl, theirDump, '--keep-secret-key'];
    expect(await runStock(words)).toMatchObject({ status: 0 });
    for (const file of [dump, theirDump]) {
      const [ours, theirs] = [
        await loaded(runHere, file, contentOf),
        await loaded(runStock, file, contentOf),
      ];
      expect(ours.rest).toEqual(theirs.rest);
      // Ids go on where they ended; theirs begin behind the last that is in use.
      for (const [name, value] of Object.entries(theirs.ids)) {
        expect(ours.ids[name]).toBeGreaterThanOrEqual(value);
      }
    }
  });

  test.skipIf(!hasStock)('is dumped again as it was, also by the original client', async () => {
    const [again, Setting] = await loaded(runHere, dump, async (metaUrl) => {
      const theirs = join(dir, 'again.json');
      const words = ['dump', metaUrl, theirs, '--keep-secret-key'];
      expect(await runStock(words)).toMatchObject({ status: 0 });
      expect(await runStock(['quota', 'check', metaUrl, '--path', '/top'])).toMatchObject({
        status: 0,
      });
      const ours = await runHere(['dump', metaUrl, '--keep-secret-key']);
      const [parsed, setting] = [await readFile(theirs, 'utf8'), ours.stdout].map(
        (dumped) => JSON.parse(dumped) as Record<string, unknown>,
      );
      return [parsed, setting?.['Setting']];
    });
    const before = JSON.parse(await readFile(dump, 'utf8')) as Record<string, unknown>;
    for (const part of ['FSTree', 'Trash', 'Quotas', 'Counters']) {
      expect(again?.[part]).toEqual(before[part]);
    }
    // The original client leaves secrets sealed.
    expect(Setting).toEqual(before['Setting']);
  });
});

const SETTING = {
  ...{ Name: 'small', UUID: '11111111-2222-3333-4444-555555555555', Storage: 'file' },
  ...{ Bucket: '/tmp/nowhere/', BlockSize: 4096, TrashDays: 1, MetaVersion: 1, DirStats: true },
};
const COUNTERS = {
  ...{ usedSpace: 0, usedInodes: 0, nextInodes: 90, nextChunk: 80, nextSession: 7, nextTrash: 0 },
};
const TIMES = { atime: 1, mtime: 2, ctime: 3 };
const attr = (inode: number, type: string, more = {}) => ({
  ...{ inode, type, mode: 0o644, uid: 1, gid: 2, ...TIMES, nlink: 1, length: 0, ...more },
});
const small = (entries: object, more: object = {}) => ({
  ...{ Setting: SETTING, Counters: COUNTERS, Sustained: [], DelFiles: null, ...more },
  FSTree: { attr: attr(5, 'directory'), entries },
});

describe('a dump that is given', () => {
  let dir: string;

  beforeAll(async () => {
    dir = await makeTempDir('load');
  });

  let files = 0;
  async function load(content: object | string | Buffer) {
    files += 1;
    const file = join(dir, `${files}.dump`);
    const isText = typeof content === 'string' || Buffer.isBuffer(content);
    await writeFile(file, isText ? content : JSON.stringify(content));
    const path = join(dir, `${files}.db`);
    const done = await runHere(['load', `sqlite3://${path}`, file]);
    return { ...done, path };
  }

  function stateOf(path: string): VolumeState {
    const database = new DatabaseSync(path);
    const state = sqliteState(database);
    database.close();
    return state;
  }

  test('may be old, of a directory only, without a trash, and written while things moved', async () => {
    const slices = [
      { chunkid: 70, size: 10, len: 10 },
      { id: 0, size: 5, len: 5, pos: 20 },
      { id: 70, size: 10, off: 2, len: 3, pos: 30 },
    ];
    const file = { attr: attr(9, 'regular', { length: 33 }), chunks: [{ index: 0, slices }] };
    const moved = { attr: attr(20, 'directory'), entries: { inside: { attr: attr(21, 'fifo') } } };
    const { status, stderr, path } = await load(
      small({
        '100%25': file,
        dir: { attr: attr(8, 'directory'), entries: { 'again%': file, moved } },
        moved,
      }),
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stderr).toContain('a directory is there twice');
    const state = stateOf(path);
    const { edges, nodes, refs, chunks, usedSpace, totalInodes } = state;
    expect(edges.map(({ parent, name, ino }) => [parent, name, ino])).toEqual(
      expect.arrayContaining([
        [1n, '100%', 9n],
        [8n, 'again%', 9n],
        [8n, 'moved', 20n],
        [20n, 'inside', 21n],
        [1n, 'dir', 8n],
      ]),
    );
    expect(edges).toHaveLength(5);
    expect(nodes.get(9n)).toMatchObject({ nlink: 2, parent: 0n, length: 33n });
    expect(nodes.get(1n)).toMatchObject({ nlink: 3, parent: 1n });
    expect(nodes.get(8n)).toMatchObject({ nlink: 3, parent: 1n });
    expect(nodes.get(0x7fff_ffff_1000_0000n)).toMatchObject({ type: FileType.directory });
    expect([...refs]).toEqual([['70_10', 2]]);
    expect(chunks.get('9_0')).toHaveLength(3);
    expect([usedSpace, totalInodes]).toEqual([4n * 4096n, 4n]);
    const database = new DatabaseSync(path);
    const counters = database.prepare(`SELECT * FROM jfs_counter WHERE name LIKE 'next%'`).all();
    database.close();
    expect(Object.fromEntries(counters.map(({ name, value }) => [name, value]))).toEqual({
      ...{ nextInode: 90, nextChunk: 80, nextSession: 7, nextTrash: 0 },
    });
  });

  test('may be compressed, and come from the standard input; secrets that it lacks are named', async () => {
    const whole = JSON.stringify(
      small({}, { Setting: { ...SETTING, SecretKey: 'removed', SessionToken: 'token' } }),
    );
    for (const content of [gzipSync(whole), zstdCompressSync(whole)]) {
      const { status, stdout, stderr } = await load(content);
      expect({ status, stdout }).toEqual({
        ...{ status: 0, stdout: 'the volume small is loaded: 1 files and directories\n' },
      });
      expect(stderr).toMatch(/without secrets.* config META-URL --secret-key …\n$/);
    }
    const metaUrl = `sqlite3://${join(dir, 'stdin.db')}`;
    const words = [process.execPath, DAEMON_PROGRAM, 'load', metaUrl, '--json'] as const;
    const { status, stdout } = await runToEnd([...words], { input: whole });
    expect({ status, json: JSON.parse(stdout) as unknown }).toEqual({
      ...{ status: 0 },
      json: { name: 'small', uuid: SETTING.UUID, loaded: 1, removedSecrets: ['SecretKey'] },
    });
    const { stderr } = await runHere(['status', metaUrl]);
    expect(stderr).toContain('SecretKey was removed');
    const set = ['config', metaUrl, '--secret-key', 'new', '--force'];
    expect(await runHere(set)).toMatchObject({ status: 0 });
    expect(await runHere(['status', metaUrl])).toMatchObject({ status: 0 });
  });

  test.each([
    ['is cut', JSON.stringify(small({})).slice(0, -9), 'ends in the middle'],
    ['is no JSON', 'JFSBAK', 'it is no JSON'],
    ['has no tree', { Setting: SETTING, Counters: COUNTERS }, 'no FSTree'],
    ['has no counters', { ...small({}), Counters: null }, 'no Counters'],
    ['has no setting', { ...small({}), Setting: null }, 'no Setting'],
    ['is of the future', small({}, { Setting: { ...SETTING, MetaVersion: 2 } }), 'MetaVersion'],
    ['has a file without attributes', small({ f: { symlink: 'x' } }), 'attr must be its first'],
    ['has a strange type', small({ f: { attr: attr(9, 'door') } }), '/f: attr: type "door"'],
    ['has a strange inode', small({ f: { attr: attr(1, 'fifo') } }), 'inode 1 cannot be there'],
    ['has a strange name', small({ 'a/b': { attr: attr(9, 'fifo') } }), 'no name of a file'],
    ['has a bad number', small({ f: { attr: attr(9, 'fifo', { uid: -1 }) } }), '/f: attr: uid'],
  ])('that %s is refused, and nothing is left', async (_, content, message) => {
    const { status, stderr, path } = await load(content);
    expect({ status, stderr }).toMatchObject({ status: 1 });
    expect(stderr).toContain(message);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test('a database that is not empty is refused, and one that was filled in vain is empty again', async () => {
  const dir = await makeTempDir('load');
  const dump = join(dir, 'dump.json');
  await writeFile(dump, JSON.stringify(small({ f: { attr: attr(9, 'fifo') } })));
  const cut = join(dir, 'cut.json');
  await writeFile(cut, JSON.stringify(small({ f: { attr: attr(9, 'fifo') } })).slice(0, -3));
  const { metaUrl, client, stop } = await emptyRedisVolume();
  const held = await runHere(['load', metaUrl, dump]);
  expect(held).toMatchObject({ status: 1 });
  expect(held.stderr).toContain('holds the volume written already');
  await client.flushall();
  expect(await runHere(['load', metaUrl, cut])).toMatchObject({ status: 1 });
  expect(await client.keys('*')).toEqual([]);
  await client.set('mine', 'x');
  const foreign = await runHere(['load', metaUrl, dump]);
  expect(foreign).toMatchObject({ status: 1 });
  expect(foreign.stderr).toContain('not empty: it has a key mine');
  expect(await client.keys('*')).toEqual(['mine']);
  await stop();
});
