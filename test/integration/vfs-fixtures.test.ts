import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DirEntryReply, fileIdOf } from '../../src/fuse/operations.ts';
import { type Attr, FileType, modeOf, type Timespec } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO, SPECIAL_INO } from '../../src/posix/ino.ts';
import type { ManifestEntry } from '../servers/fixture-manifest.ts';
import { FIXTURE_NAMES, type LoadedFixture, loadFixture } from '../servers/fixtures.ts';
import { type OpenedVolume, openVfs, rootContext } from './vfs-volume.ts';

/** Names that no manifest has. */
const MADE_UP = new Set(['.', '..', '.accesslog', '.stats', '.config', '.trash']);

const OPTIONS = { enableXattr: true, enableCap: true, enableSelinux: true };
const READ_BYTES = 128 * 1024;
const SLASH = Buffer.from('/');

const TYPES: Readonly<Record<FileType, ManifestEntry['type']>> = {
  [FileType.file]: 'file',
  [FileType.directory]: 'directory',
  [FileType.symlink]: 'symlink',
  [FileType.fifo]: 'fifo',
  [FileType.blockDevice]: 'block',
  [FileType.charDevice]: 'character',
  [FileType.socket]: 'socket',
};

const ns = ({ seconds, nanoseconds }: Timespec) =>
  (BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)).toString();

/** An attribute in the manifest's words. */
function wordsOf(ino: Ino, attr: Attr) {
  return {
    type: TYPES[attr.type],
    inode: ino.toString(),
    mode: (modeOf(attr) & 0o7777).toString(8).padStart(4, '0'),
    uid: attr.uid,
    gid: attr.gid,
    nlink: attr.nlink,
    size: Number(attr.length),
    rdev: attr.rdev,
    mtime_ns: ns(attr.mtime),
    ctime_ns: ns(attr.ctime),
    atime_ns: ns(attr.atime),
  };
}

async function listAll({ vfs }: OpenedVolume, ino: Ino): Promise<DirEntryReply[]> {
  const { fh } = await vfs.opendir(rootContext(), ino);
  const all: DirEntryReply[] = [];
  for (let before = -1; before !== all.length; ) {
    before = all.length;
    const offset = all.at(-1)?.nextOffset ?? 0n;
    // As the kernel does it: as many as fit into a buffer.
    let room = 100;
    await vfs.readdir(rootContext(), ino, fh, { offset, plus: true }, (entry) => {
      if (room === 0) return false;
      room -= 1;
      all.push(entry);
      return true;
    });
  }
  vfs.releasedir(fh);
  return all.filter(({ name }) => !MADE_UP.has(Buffer.from(name).toString()));
}

/** Reads a file as a stream, and checks all that worker threads were told meanwhile. */
async function hashOf(volume: OpenedVolume, ino: Ino) {
  const { vfs, extents, extentBytes } = volume;
  const { fh } = await vfs.open(rootContext(), ino, 0);
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  for (let offset = 0; ; offset += READ_BYTES) {
    const reply = await vfs.read(rootContext(), ino, fh, { offset, length: READ_BYTES });
    const bytes = Buffer.concat(reply.parts);
    reply.release();
    if (bytes.byteLength === 0) break;
    hash.update(bytes);
    // Sparse files of 200 MB need not stay in memory.
    if (offset < 16 * 1024 * 1024) parts.push(bytes);
    if (bytes.byteLength < READ_BYTES) break;
  }
  const content = Buffer.concat(parts);
  const bad: string[] = [];
  let checked = 0;
  for (const extent of extents.values()) {
    if (extent.fileId !== fileIdOf(fh) || extent.fileOffset >= content.byteLength) continue;
    const found = extentBytes(extent);
    const want = content.subarray(extent.fileOffset, extent.fileOffset + extent.lengthBytes);
    const ends = extent.fileOffset + extent.lengthBytes === content.byteLength;
    if (found === undefined) continue;
    checked += 1;
    if (!want.equals(found) || (parts.length > 0 && extent.endsFile !== ends)) {
      bad.push(`extent at ${extent.fileOffset}`);
    }
  }
  vfs.release(fh);
  return { sha256: hash.digest('hex'), bad, checked };
}

async function xattrsOf({ vfs }: OpenedVolume, ino: Ino): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await vfs.listxattr(rootContext(), ino)) {
    const value = await vfs.getxattr(rootContext(), ino, name);
    found[Buffer.from(name).toString()] = Buffer.from(value).toString('base64');
  }
  return found;
}

describe.each(FIXTURE_NAMES)('volume %s as a file system', (name) => {
  let fixture: LoadedFixture;
  let volume: OpenedVolume;

  beforeAll(async () => {
    fixture = await loadFixture(name);
    volume = await openVfs(fixture, OPTIONS);
  });

  afterAll(async () => {
    await volume?.close();
    await fixture?.stop();
  });

  /** Every entry below the root by path, as listings with attributes show it. */
  async function walk(): Promise<Map<string, { ino: Ino; attr: Attr }>> {
    const found = new Map<string, { ino: Ino; attr: Attr }>();
    const { attr } = await volume.vfs.getattr(rootContext(), ROOT_INO);
    found.set('', { ino: ROOT_INO, attr });
    const open: { path: Buffer; ino: Ino }[] = [{ path: Buffer.alloc(0), ino: ROOT_INO }];
    if (name === 'trash') {
      const trash = await volume.vfs.lookup(rootContext(), ROOT_INO, Buffer.from('.trash'));
      open.push({ path: Buffer.from('.trash'), ino: trash.ino as Ino });
    }
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const entry of await listAll(volume, next.ino)) {
        const parts = next.path.length === 0 ? [entry.name] : [next.path, SLASH, entry.name];
        const path = Buffer.concat(parts);
        const reply = entry.entry ?? (await volume.vfs.lookup(rootContext(), next.ino, entry.name));
        if (reply.ino === undefined) throw new Error(`${path.toString()} is listed but not found`);
        found.set(path.toString('base64'), { ino: reply.ino, attr: reply.attr });
        if (entry.type === FileType.directory) open.push({ path, ino: entry.ino });
      }
    }
    return found;
  }

  test('has the entries that a real client showed', async () => {
    const found = await walk();
    const expected = fixture.manifest.entries.map((entry) => entry.path_b64);
    expect([...found.keys()].toSorted()).toEqual(expected.toSorted());
    const differences: unknown[] = [];
    for (const entry of fixture.manifest.entries) {
      const node = found.get(entry.path_b64);
      if (node === undefined) continue;
      const words = wordsOf(node.ino, node.attr);
      for (const [field, value] of Object.entries(words)) {
        const want = entry[field as keyof ManifestEntry];
        if (value !== want) differences.push([entry.path ?? entry.path_b64, field, value, want]);
      }
      const { vfs } = volume;
      if (entry.type === 'symlink') {
        const target = Buffer.from(await vfs.readlink(rootContext(), node.ino)).toString('base64');
        if (target !== entry.target_b64) differences.push([entry.path, 'target', target]);
      }
      // All that have some, and a few that have none.
      const asked = entry.xattrs !== undefined || Number(BigInt(entry.inode) % 50n) === 0;
      if (asked && node.ino < SPECIAL_INO) {
        const xattrs = await xattrsOf(volume, node.ino);
        const want = entry.xattrs ?? {};
        if (!isDeepStrictEqual(xattrs, want)) differences.push([entry.path, xattrs, want]);
      }
    }
    expect(differences).toEqual([]);
  });

  test('has the bytes that a real client showed, for worker threads too', async () => {
    const differences: unknown[] = [];
    const seen = new Set<string>();
    let extents = 0;
    for (const entry of fixture.manifest.entries) {
      if (entry.sha256 === undefined || seen.has(entry.inode)) continue;
      // 20 000 empty files tell nothing more.
      if (entry.size === 0 && seen.size > 300) continue;
      seen.add(entry.inode);
      const { sha256, bad, checked } = await hashOf(volume, BigInt(entry.inode) as Ino);
      extents += checked;
      if (sha256 !== entry.sha256) differences.push([entry.path ?? entry.path_b64, sha256]);
      for (const what of bad) differences.push([entry.path ?? entry.path_b64, what]);
    }
    expect(differences).toEqual([]);
    expect(extents).toBeGreaterThan(0);
    expect(volume.metrics.value('bug_total')).toBe(0);
    expect(volume.metrics.value('used_buffer_size_bytes')).toBe(0);
  });

  test('has the room that a real client showed', async () => {
    const paths = fixture.manifest.statfs_paths ?? [];
    const inodes = new Map(fixture.manifest.entries.map((entry) => [entry.path_b64, entry.inode]));
    const asked = [{ path_b64: '', statfs: fixture.manifest.statfs }, ...paths];
    for (const { path_b64, statfs } of asked) {
      const ino = BigInt(inodes.get(path_b64) ?? 1) as Ino;
      expect(await volume.vfs.statfs(rootContext(), ino)).toEqual({
        blockBytes: statfs.bsize,
        blocks: BigInt(statfs.blocks),
        blocksFree: BigInt(statfs.bfree),
        files: BigInt(statfs.files),
        filesFree: BigInt(statfs.ffree),
        nameBytesMax: statfs.namemax,
      });
    }
  });
});
