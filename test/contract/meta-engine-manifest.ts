import { expect } from 'vitest';
import { encodeSliceRecords } from '../../src/block/slice-record.ts';
import { type Attr, FileType } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO, toIno, TRASH_INO } from '../../src/posix/ino.ts';
import type { DirCursor, DirEntry, Entry, MetaReader } from '../../src/meta/engine.ts';
import type { FixtureManifest, ManifestEntry } from '../servers/fixture-manifest.ts';

/** Never aborted. */
export const NO_SIGNAL = new AbortController().signal;

const TYPES: Readonly<Record<ManifestEntry['type'], FileType>> = {
  file: FileType.file,
  directory: FileType.directory,
  symlink: FileType.symlink,
  fifo: FileType.fifo,
  socket: FileType.socket,
  character: FileType.charDevice,
  block: FileType.blockDevice,
};
/** FS_IOC_GETFLAGS bits by JuiceFS flag. @see linux/fs.h */
const FLAG_BITS: readonly (readonly [flag: number, bit: number])[] = [
  [1, 0x10],
  [2, 0x20],
  [32, 0x1],
];
const SLASH = 0x2f;
/** Look-ups at once. */
const BATCH = 500;

/** An attribute in the manifest's words, without what the manifest does not say. */
export function describeAttr(ino: Ino, attr: Attr): Partial<ManifestEntry> {
  const nanoseconds = ({ seconds, nanoseconds: rest }: Attr['mtime']) =>
    String(BigInt(seconds) * 1_000_000_000n + BigInt(rest));
  return {
    type: Object.entries(TYPES).find(
      ([, type]) => type === attr.type,
    )?.[0] as ManifestEntry['type'],
    inode: String(ino),
    mode: attr.mode.toString(8).padStart(4, '0'),
    uid: attr.uid,
    gid: attr.gid,
    nlink: attr.nlink,
    size: Number(attr.length),
    rdev: attr.rdev,
    mtime_ns: nanoseconds(attr.mtime),
    ctime_ns: nanoseconds(attr.ctime),
    atime_ns: nanoseconds(attr.atime),
  };
}

/** What {@link describeAttr} must give for an entry. */
export function expectedAttr(entry: ManifestEntry): Partial<ManifestEntry> {
  const { type, inode, mode, uid, gid, nlink, size, rdev, mtime_ns, ctime_ns, atime_ns } = entry;
  return { type, inode, mode, uid, gid, nlink, size, rdev, mtime_ns, ctime_ns, atime_ns };
}

/** JuiceFS flags as FS_IOC_GETFLAGS shows them. */
export function flagBits(attr: Attr): number {
  return FLAG_BITS.reduce((bits, [flag, bit]) => bits | (attr.flags & flag ? bit : 0), 0);
}

/** The type that a manifest's word stands for. */
export function typeOf(entry: ManifestEntry): FileType {
  return TYPES[entry.type];
}

/** Directory and last name of an entry's path; undefined for the root. */
export function splitPath(entry: ManifestEntry): { parent: string; name: Buffer } | undefined {
  const path = Buffer.from(entry.path_b64, 'base64');
  if (path.byteLength === 0) return undefined;
  const at = path.lastIndexOf(SLASH);
  const parent = path.subarray(0, Math.max(at, 0));
  return { parent: parent.toString('base64'), name: path.subarray(at + 1) };
}

/** Inodes of all directories by their base64 path; the trash stands at `.trash`. */
export function directoriesOf(manifest: FixtureManifest): Map<string, Ino> {
  const directories = manifest.entries
    .filter(({ type }) => type === 'directory')
    .map((entry): [string, Ino] => [entry.path_b64, toIno(BigInt(entry.inode))]);
  const trash = Buffer.from('.trash').toString('base64');
  return new Map([['', ROOT_INO], [trash, TRASH_INO], ...directories]);
}

/** Looks an entry of the manifest up by its name. */
export async function lookupEntry(
  reader: MetaReader,
  directories: ReadonlyMap<string, Ino>,
  entry: ManifestEntry,
): Promise<Entry | undefined> {
  const split = splitPath(entry);
  if (split === undefined) {
    const attr = await reader.getattr(ROOT_INO, NO_SIGNAL);
    return attr === undefined ? undefined : { ino: ROOT_INO, attr };
  }
  const parent = directories.get(split.parent);
  if (parent === undefined) throw new Error(`the manifest lacks the directory of ${entry.path}`);
  return reader.lookup(parent, split.name, NO_SIGNAL);
}

/** Finds every entry of the manifest and compares its attribute. */
export async function expectEntries(reader: MetaReader, manifest: FixtureManifest): Promise<void> {
  const directories = directoriesOf(manifest);
  const found: (Entry | undefined)[] = [];
  for (let at = 0; at < manifest.entries.length; at += BATCH) {
    const batch = manifest.entries.slice(at, at + BATCH);
    const entries = batch.map((entry) => lookupEntry(reader, directories, entry));
    found.push(...(await Promise.all(entries)));
  }
  const described = found.map((entry) => entry && describeAttr(entry.ino, entry.attr));
  expect(described).toEqual(manifest.entries.map(expectedAttr));
  const flags = found.map((entry) => entry && flagBits(entry.attr));
  // Flags cannot be asked for in every volume, nor of every type.
  const listed = manifest.entries.map(({ flags: bits }, index) => bits ?? flags[index]);
  expect(flags).toEqual(listed);
}

/** Compares every chunk list of the manifest, one by one and the first ones of files together. */
export async function expectSlices(reader: MetaReader, manifest: FixtureManifest): Promise<void> {
  const firsts = Object.keys(manifest.slices).filter((key) => key.endsWith('_0'));
  const inos = firsts.map((key) => toIno(BigInt(key.slice(1, -2))));
  const lists = await reader.readFirstChunks(inos, NO_SIGNAL);
  const together = lists.map(
    (list) => list && Buffer.from(encodeSliceRecords(list)).toString('hex'),
  );
  expect(together).toEqual(firsts.map((key) => manifest.slices[key]?.join('')));
  for (const [key, records] of Object.entries(manifest.slices)) {
    const [, ino = '', index = ''] = /^c([0-9]+)_([0-9]+)$/.exec(key) ?? [];
    const read = await reader.readChunk(toIno(BigInt(ino)), Number(index), NO_SIGNAL);
    const stored = Buffer.from(encodeSliceRecords(read)).toString('hex');
    expect({ key, stored }).toEqual({ key, stored: records.join('') });
  }
}

/** Compares the stored extended attributes of every entry. */
export async function expectXattrs(reader: MetaReader, manifest: FixtureManifest): Promise<void> {
  for (const entry of manifest.entries) {
    const ino = toIno(BigInt(entry.inode));
    const expected = Object.entries(entry.xattrs ?? {}).filter(
      ([name]) => !name.startsWith('system.posix_acl_'),
    );
    const names = await reader.listxattr(ino, NO_SIGNAL);
    const values = await Promise.all(
      names.map(async (name): Promise<[string, string | undefined]> => {
        const value = await reader.getxattr(ino, name, NO_SIGNAL);
        return [Buffer.from(name).toString(), value && Buffer.from(value).toString('base64')];
      }),
    );
    expect([entry.path, Object.fromEntries(values)]).toEqual([
      entry.path,
      Object.fromEntries(expected),
    ]);
  }
}

/** Lists a directory page by page. */
export async function listAll(
  reader: MetaReader,
  ino: Ino,
  options: { withAttrs: boolean; onPage?: (entries: readonly DirEntry[]) => void },
): Promise<DirEntry[]> {
  const all: DirEntry[] = [];
  let cursor: DirCursor | undefined;
  do {
    const { withAttrs } = options;
    const page = await reader.readdir(ino, { cursor, withAttrs }, NO_SIGNAL);
    options.onPage?.(page.entries);
    all.push(...page.entries);
    cursor = page.next;
  } while (cursor !== undefined);
  return all;
}

/** Lists every directory of the manifest, with attributes, and compares. */
export async function expectListings(reader: MetaReader, manifest: FixtureManifest): Promise<void> {
  const expected = new Map<string, string[]>();
  for (const [path] of directoriesOf(manifest)) expected.set(path, []);
  for (const entry of manifest.entries) {
    const split = splitPath(entry);
    if (split === undefined) continue;
    const line = { name: split.name.toString('hex'), type: typeOf(entry), ...expectedAttr(entry) };
    expected.get(split.parent)?.push(JSON.stringify(line));
  }
  for (const [path, ino] of directoriesOf(manifest)) {
    const listed = (await listAll(reader, ino, { withAttrs: true })).map((entry) => {
      const name = Buffer.from(entry.name).toString('hex');
      const described = entry.attr && describeAttr(entry.ino, entry.attr);
      return JSON.stringify({ name, type: entry.type, ...described });
    });
    const where = Buffer.from(path, 'base64').toString();
    expect([where, ...listed.toSorted()]).toEqual([
      where,
      ...(expected.get(path)?.toSorted() ?? []),
    ]);
  }
}
