import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, statfs } from 'node:fs/promises';
import type { FixtureManifest, ManifestEntry } from './fixture-manifest.ts';
import { getXattr, listXattrs } from './posix-calls.ts';

/** `S_IF*` by the manifest's type names. */
const FORMATS: Readonly<Record<ManifestEntry['type'], bigint>> = {
  file: 0o100000n,
  directory: 0o040000n,
  symlink: 0o120000n,
  fifo: 0o010000n,
  socket: 0o140000n,
  character: 0o020000n,
  block: 0o060000n,
};
/** Entries looked at side by side. */
const LOOKERS = 8;
const INTERNAL_NAMES = ['.accesslog', '.stats', '.config', '.trash', '.control'];

/** How closely to look. */
export interface CompareOptions {
  /** Read every file's content. Default true. */
  readonly content?: boolean;
  /** Compare extended attributes. Default true. */
  readonly xattrs?: boolean;
}

/**
 * Compares a mounted volume with what a real client showed: every entry's attributes, content,
 * symlink target, extended attributes, and every directory's listing.
 *
 * @returns a line for each difference; empty when all is equal
 */
export async function compareTree(
  mountpoint: string,
  manifest: FixtureManifest,
  options: CompareOptions = {},
): Promise<string[]> {
  const differences: string[] = [];
  const entries = manifest.entries.values();
  const compareRest = async () => {
    for (const entry of entries) {
      differences.push(...(await compareEntry(mountpoint, entry, options)));
    }
  };
  await Promise.all(Array.from({ length: LOOKERS }, compareRest));
  differences.push(...(await compareListings(mountpoint, manifest)));
  return differences;
}

async function compareEntry(mountpoint: string, entry: ManifestEntry, options: CompareOptions) {
  const name = entry.path ?? entry.path_b64;
  try {
    const found = await describe(pathIn(mountpoint, entry.path_b64), entry, options);
    return differencesOf(name, entry, found);
  } catch (error) {
    return [`${name}: ${String(error)}`];
  }
}

/** The bytes of a path below a mount point. */
export function pathIn(mountpoint: string, pathB64: string): Buffer {
  const relative = Buffer.from(pathB64, 'base64');
  return relative.length === 0
    ? Buffer.from(mountpoint)
    : Buffer.concat([Buffer.from(`${mountpoint}/`), relative]);
}

/** @returns a line for each difference between statfs of the mount and `expected` */
export async function compareStatfs(
  path: string | Buffer,
  expected: FixtureManifest['statfs'],
): Promise<string[]> {
  const found = await statfs(path);
  const fields = ['bsize', 'blocks', 'bfree', 'bavail', 'files', 'ffree'] as const;
  return fields.flatMap((field) =>
    found[field] === expected[field]
      ? []
      : [`statfs ${String(path)} ${field}: ${found[field]} instead of ${expected[field]}`],
  );
}

async function describe(path: Buffer, entry: ManifestEntry, options: CompareOptions) {
  const stat = await lstat(path, { bigint: true });
  const isFile = entry.type === 'file';
  const withBlocks = isFile || entry.type === 'directory' || entry.type === 'symlink';
  return {
    inode: stat.ino.toString(),
    mode: (stat.mode & 0o7777n).toString(8).padStart(4, '0'),
    format: (stat.mode & 0o170000n) === FORMATS[entry.type],
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    nlink: Number(stat.nlink),
    size: Number(stat.size),
    rdev: Number(stat.rdev),
    blocks: stat.blocks === (withBlocks ? (stat.size + 511n) / 512n : 0n),
    mtime_ns: stat.mtimeNs.toString(),
    ctime_ns: stat.ctimeNs.toString(),
    atime_ns: stat.atimeNs.toString(),
    // Of an empty file the size has said everything.
    ...(isFile && stat.size > 0 && options.content !== false
      ? { sha256: await sha256Of(path) }
      : {}),
    ...(entry.type === 'symlink'
      ? { target_b64: (await readlink(path, { encoding: 'buffer' })).toString('base64') }
      : {}),
    ...(options.xattrs === false ? {} : { xattrs: JSON.stringify(xattrsOf(path)) }),
  };
}

function differencesOf(name: string, entry: ManifestEntry, found: object): string[] {
  const expected: Record<string, unknown> = {
    ...entry,
    format: true,
    blocks: true,
    xattrs: JSON.stringify(sorted(entry.xattrs ?? {})),
  };
  return Object.entries(found).flatMap(([field, value]) => {
    // A plain entry of the largest fixture has no times and no inode of its own in the manifest.
    if (expected[field] === undefined || expected[field] === value) return [];
    return [
      `${name} ${field}: ${JSON.stringify(value)} instead of ${JSON.stringify(expected[field])}`,
    ];
  });
}

async function compareListings(mountpoint: string, manifest: FixtureManifest): Promise<string[]> {
  const children = new Map<string, string[]>();
  for (const { path_b64 } of manifest.entries) {
    const path = Buffer.from(path_b64, 'base64');
    if (path.length === 0) continue;
    const slash = path.lastIndexOf('/');
    const parent = path.subarray(0, Math.max(slash, 0)).toString('base64');
    const names = children.get(parent) ?? [];
    names.push(path.subarray(slash + 1).toString('base64'));
    children.set(parent, names);
  }
  const differences: string[] = [];
  for (const { path_b64, path } of manifest.readdir) {
    const listed = await readdir(pathIn(mountpoint, path_b64), { encoding: 'buffer' });
    const names = listed.map((name) => name.toString('base64')).toSorted();
    const internal = INTERNAL_NAMES.map((name) => Buffer.from(name).toString('base64'));
    const shown = path_b64 === '' ? names.filter((name) => !internal.includes(name)) : names;
    const expected = (children.get(path_b64) ?? []).toSorted();
    if (JSON.stringify(shown) !== JSON.stringify(expected)) {
      differences.push(
        `listing of ${path ?? path_b64}: ${shown.length} of ${expected.length} names`,
      );
    }
  }
  return differences;
}

function xattrsOf(path: Buffer): Record<string, string> {
  const values = listXattrs(path).map((name) => {
    const value = getXattr(path, name);
    return [name, typeof value === 'number' ? `errno ${value}` : value.toString('base64')] as const;
  });
  return sorted(Object.fromEntries(values));
}

function sorted(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function sha256Of(path: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 18 })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
