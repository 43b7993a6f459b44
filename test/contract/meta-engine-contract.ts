import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MetaEngine } from '../../src/meta/engine.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import type { LoadedFixture } from '../servers/fixtures.ts';
import {
  directoriesOf,
  expectEntries,
  expectListings,
  expectSlices,
  expectXattrs,
  listAll,
  NO_SIGNAL,
} from './meta-engine-manifest.ts';
import { metaSessionsContract } from './meta-engine-sessions.ts';

/** What can be spoiled in a volume. */
export type Damage = 'setting' | 'attr' | 'edge' | 'dangling' | 'chunk' | 'aclRule';

/** A volume on an engine, and the ways around the engine that the tests need. */
export interface ContractVolume {
  readonly fixture: LoadedFixture;
  /** Not yet started; each call gives another one on the same volume. */
  createEngine(options?: { deadlineMs?: number; wallMs?: () => number }): MetaEngine;
  /** Adds files `f0` … to a directory that only has names, all of the same inode. */
  addNames(directory: bigint, ino: bigint, count: number): Promise<void>;
  /** Spoils what is stored for an inode, for a name `victim` in the root, or for ACL rule 1. */
  damage(what: Damage, ino: bigint): Promise<void>;
  /** Everything that is stored, sessions and their counter left out. */
  snapshot(): Promise<string>;
  stop(): Promise<void>;
}

const NAMES = 120_000;
const PAGE_MAX = 5000;
const NO_INO = toIno(987_654_321n);
const text = (name: string) => new TextEncoder().encode(name);

/** What every metadata engine promises. */
export function metaEngineContract(name: string, load: () => Promise<ContractVolume>): void {
  describe(`${name} is a metadata engine`, () => {
    let volume: ContractVolume;
    let engine: MetaEngine;
    beforeAll(async () => {
      volume = await load();
      engine = volume.createEngine();
      await engine.start();
    });
    afterAll(async () => {
      await engine?.stop();
      await volume?.stop();
    });
    readingContract(() => ({ volume, engine }));
    absenceContract(() => engine);
    metaSessionsContract(() => ({ volume, engine }));
    lifeContract(() => volume);
    damageContract(load);
  });
}

type Given = () => { volume: ContractVolume; engine: MetaEngine };

function readingContract(given: Given): void {
  it('reads the setting', async () => {
    const { volume, engine } = given();
    const setting = await engine.loadSetting(NO_SIGNAL);
    const { raw, name, uuid, blockBytes } = setting;
    expect(raw).toEqual(volume.fixture.setting);
    expect({ name, uuid, blockBytes }).toEqual({
      name: raw['Name'],
      uuid: raw['UUID'],
      blockBytes: Number(raw['BlockSize']) * 1024,
    });
  });

  it('finds every entry with its attribute', async () => {
    const { engine, volume } = given();
    const { manifest } = volume.fixture;
    await expect(expectEntries(engine, manifest)).resolves.toBeUndefined();
  });

  it('lists every directory with attributes', async () => {
    const { engine, volume } = given();
    const { manifest } = volume.fixture;
    await expect(expectListings(engine, manifest)).resolves.toBeUndefined();
  });

  it('leaves attributes out of a listing when they are not asked for', async () => {
    const entries = await listAll(given().engine, ROOT_INO, { withAttrs: false });
    expect(entries.length).toBeGreaterThan(5);
    expect(entries.every(({ attr }) => attr === undefined)).toBe(true);
  });

  it('reads many attributes at once, in order', async () => {
    const { engine, volume } = given();
    const inos = volume.fixture.manifest.entries.map(({ inode }) => toIno(BigInt(inode)));
    const attrs = await engine.getattrs([NO_INO, ...inos], NO_SIGNAL);
    expect(attrs[0]).toBeUndefined();
    const single = await Promise.all(inos.map((ino) => engine.getattr(ino, NO_SIGNAL)));
    expect(attrs.slice(1)).toEqual(single);
  });

  it('reads every symlink', async () => {
    const { engine, volume } = given();
    const links = volume.fixture.manifest.entries.filter(({ type }) => type === 'symlink');
    expect(links.length).toBeGreaterThan(5);
    for (const { inode, target_b64 } of links) {
      const target = await engine.readlink(toIno(BigInt(inode)), NO_SIGNAL);
      expect(Buffer.from(target ?? []).toString('base64')).toBe(target_b64);
    }
  });

  it('reads every extended attribute', async () => {
    const { engine, volume } = given();
    const { manifest } = volume.fixture;
    await expect(expectXattrs(engine, manifest)).resolves.toBeUndefined();
  });

  it('reads every slice list', async () => {
    const { engine, volume } = given();
    const { manifest } = volume.fixture;
    await expect(expectSlices(engine, manifest)).resolves.toBeUndefined();
  });

  it('knows all parents of hard links', async () => {
    const { engine, volume } = given();
    const { manifest } = volume.fixture;
    const parents = parentsByInode(manifest);
    const linked = manifest.entries.filter(({ nlink, type }) => nlink > 1 && type !== 'directory');
    expect(linked.length).toBeGreaterThan(3);
    for (const { inode } of linked) {
      const ino = toIno(BigInt(inode));
      expect((await engine.getattr(ino, NO_SIGNAL))?.parent).toBe(0n);
      expect(new Set(await engine.parents(ino, NO_SIGNAL))).toEqual(parents.get(inode));
    }
  });

  it('tells the usage that statfs shows', async () => {
    const { statfs } = given().volume.fixture.manifest;
    const usage = await given().engine.usage(NO_SIGNAL);
    expect(usage.usedBytes).toBe(BigInt(statfs.blocks - statfs.bfree) * 4096n);
    expect(usage.inodes).toBe(BigInt(statfs.files - statfs.ffree));
  });

  it('lists a huge directory in bounded pages', async () => {
    const { engine, volume } = given();
    await volume.addNames(424_242n, 1n, NAMES);
    const sizes: number[] = [];
    const onPage = (entries: readonly unknown[]) => void sizes.push(entries.length);
    const entries = await listAll(engine, toIno(424_242n), { withAttrs: true, onPage });
    expect(Math.max(...sizes)).toBeLessThan(PAGE_MAX);
    const names = new Set(entries.map((entry) => Buffer.from(entry.name).toString()));
    expect(names.size).toBe(NAMES);
    expect(names).toContain('f0');
    expect(entries.every(({ ino, attr }) => ino === 1n && attr?.nlink)).toBe(true);
  });
}

function parentsByInode(manifest: LoadedFixture['manifest']): Map<string, Set<bigint>> {
  const directories = directoriesOf(manifest);
  const parents = new Map<string, Set<bigint>>();
  for (const { path_b64, inode } of manifest.entries) {
    const path = Buffer.from(path_b64, 'base64');
    const parent = path.subarray(0, Math.max(0, path.lastIndexOf(0x2f))).toString('base64');
    const known = parents.get(inode) ?? new Set();
    parents.set(inode, known.add(directories.get(parent) ?? 0n));
  }
  return parents;
}

function absenceContract(engine: () => MetaEngine): void {
  it('gives undefined or nothing for what is not there', async () => {
    const name = text('no-such-name');
    expect(await engine().lookup(ROOT_INO, name, NO_SIGNAL)).toBeUndefined();
    expect(await engine().lookup(NO_INO, name, NO_SIGNAL)).toBeUndefined();
    expect(await engine().getattr(NO_INO, NO_SIGNAL)).toBeUndefined();
    expect(await engine().getattrs([], NO_SIGNAL)).toEqual([]);
    expect(await engine().readlink(ROOT_INO, NO_SIGNAL)).toBeUndefined();
    expect(await engine().getxattr(ROOT_INO, name, NO_SIGNAL)).toBeUndefined();
    expect(await engine().listxattr(NO_INO, NO_SIGNAL)).toEqual([]);
    expect(await engine().aclRule(4711, NO_SIGNAL)).toBeUndefined();
    expect(await engine().readChunk(NO_INO, 0, NO_SIGNAL)).toEqual([]);
    expect(await engine().readFirstChunks([], NO_SIGNAL)).toEqual([]);
    expect(await engine().readFirstChunks([NO_INO, ROOT_INO], NO_SIGNAL)).toEqual([[], []]);
    expect(await engine().parents(NO_INO, NO_SIGNAL)).toEqual([]);
    expect(await engine().dirQuota(NO_INO, NO_SIGNAL)).toBeUndefined();
    expect(await listAll(engine(), NO_INO, { withAttrs: true })).toEqual([]);
  });

  it('takes inodes and names of any size', async () => {
    const top = toIno(0xffff_ffff_ffff_ffffn);
    expect(await engine().getattr(top, NO_SIGNAL)).toBeUndefined();
    expect(await engine().lookup(top, new Uint8Array(4096), NO_SIGNAL)).toBeUndefined();
    expect(await engine().lookup(ROOT_INO, new Uint8Array(0), NO_SIGNAL)).toBeUndefined();
    expect(await engine().readChunk(top, 2 ** 31 - 1, NO_SIGNAL)).toEqual([]);
  });
}

function lifeContract(volume: () => ContractVolume): void {
  it('refuses calls before start and after stop, and starts again', async () => {
    const engine = volume().createEngine();
    const unavailable = { code: 'unavailable' };
    await expect(engine.getattr(ROOT_INO, NO_SIGNAL)).rejects.toMatchObject(unavailable);
    await engine.start();
    await engine.stop();
    await engine.stop();
    await expect(engine.getattr(ROOT_INO, NO_SIGNAL)).rejects.toMatchObject(unavailable);
    await engine.start();
    expect(await engine.getattr(ROOT_INO, NO_SIGNAL)).toBeDefined();
    await engine.stop();
  });

  it('ends calls that are under way when it is stopped', async () => {
    const engine = volume().createEngine();
    await engine.start();
    const calls = Array.from({ length: 500 }, () => engine.getattr(ROOT_INO, NO_SIGNAL));
    const settled = Promise.allSettled(calls);
    await engine.stop();
    const codes = (await settled).map((result) =>
      result.status === 'rejected' ? result.reason.code : 'unavailable',
    );
    expect(new Set(codes)).toEqual(new Set(['unavailable']));
  });

  it('rejects with the reason of an aborted signal', async () => {
    const engine = volume().createEngine();
    await engine.start();
    const reason = new Error('interrupted');
    const aborted = AbortSignal.abort(reason);
    await expect(engine.getattr(ROOT_INO, aborted)).rejects.toBe(reason);
    const controller = new AbortController();
    const call = engine.lookup(ROOT_INO, text('data'), controller.signal);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(await engine.lookup(ROOT_INO, text('data'), NO_SIGNAL)).toBeDefined();
    await engine.stop();
  });

  it('shows its URL', () => {
    expect(volume().createEngine().displayUrl).toContain('://');
  });
}

function damageContract(load: () => Promise<ContractVolume>): void {
  describe('with spoiled values', () => {
    let volume: ContractVolume;
    let engine: MetaEngine;
    const corrupt = { code: 'corrupt' };
    beforeAll(async () => {
      volume = await load();
      engine = volume.createEngine();
      await engine.start();
    });
    afterAll(async () => {
      await engine?.stop();
      await volume?.stop();
    });

    it('says corrupt for an attribute', async () => {
      const ino = toIno(77_001n);
      await volume.damage('attr', ino);
      await expect(engine.getattr(ino, NO_SIGNAL)).rejects.toMatchObject(corrupt);
      await expect(engine.getattrs([ROOT_INO, ino], NO_SIGNAL)).rejects.toMatchObject(corrupt);
    });

    it('says corrupt for a directory entry', async () => {
      await volume.damage('edge', 77_002n);
      const found = engine.lookup(ROOT_INO, text('victim'), NO_SIGNAL);
      await expect(found).rejects.toMatchObject(corrupt);
      const listed = listAll(engine, ROOT_INO, { withAttrs: false });
      await expect(listed).rejects.toMatchObject(corrupt);
    });

    it('says corrupt for a name whose inode is missing, but lists it', async () => {
      await volume.damage('dangling', 77_003n);
      const found = engine.lookup(ROOT_INO, text('victim'), NO_SIGNAL);
      await expect(found).rejects.toMatchObject(corrupt);
      const entries = await listAll(engine, ROOT_INO, { withAttrs: true });
      const victim = entries.find(({ name: raw }) => Buffer.from(raw).toString() === 'victim');
      expect(victim).toMatchObject({ ino: 77_003n, attr: undefined });
    });

    it('says corrupt for a slice list', async () => {
      const ino = toIno(77_004n);
      await volume.damage('chunk', ino);
      await expect(engine.readChunk(ino, 0, NO_SIGNAL)).rejects.toMatchObject(corrupt);
      // Among others it spoils only itself.
      const lists = await engine.readFirstChunks([ino, NO_INO], NO_SIGNAL);
      expect(lists).toEqual([undefined, []]);
    });

    it('says corrupt for an access rule', async () => {
      await volume.damage('aclRule', 1n);
      await expect(engine.aclRule(1, NO_SIGNAL)).rejects.toMatchObject(corrupt);
    });

    it('says bad-setting for a setting that makes no sense, no-volume for none', async () => {
      await volume.damage('setting', 0n);
      const load1 = engine.loadSetting(NO_SIGNAL);
      await expect(load1).rejects.toMatchObject({ code: 'bad-setting' });
    });
  });
}
