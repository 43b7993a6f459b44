import { readFile } from 'node:fs/promises';

/** One directory entry as a real mount of the volume shows it; see test/fixtures/README.md. */
export interface ManifestEntry {
  /** Path below the root as raw bytes in base64, "" for the root. */
  readonly path_b64: string;
  /** The same as text, absent when it is not valid UTF-8. */
  readonly path?: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block';
  /** Decimal; inodes of the trash do not fit into a number. */
  readonly inode: string;
  /** Permission bits as four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  readonly rdev: number;
  /** Nanoseconds since 1970, decimal, may be negative. */
  readonly mtime_ns: string;
  readonly ctime_ns: string;
  readonly atime_ns: string;
  /** Hash of a file's content, in hex. */
  readonly sha256?: string;
  /** A symlink's target in base64. */
  readonly target_b64?: string;
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Access rules as `getfacl -n` prints them. */
  readonly acl?: string;
  /** FS_IOC_GETFLAGS when it is not 0. */
  readonly flags?: number;
}

/** The fields of statfs(2). */
export interface ManifestStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly favail: number;
  readonly namemax: number;
}

/** What one credential may do with each path. */
export interface ManifestAccess {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly allowed: readonly {
    readonly path_b64: string;
    readonly path?: string;
    /** `rwx` with dashes. */
    readonly access: string;
  }[];
}

/** One decoded quota; numbers are decimal, -1 and 0 mean no limit. */
export interface ManifestQuota {
  /** An inode, uid or gid. */
  readonly id: string;
  readonly max_space: string;
  readonly max_inodes: string;
  readonly used_space: string;
  readonly used_inodes: string;
}

/** The truth about a recorded volume. */
export interface FixtureManifest {
  readonly volume: string;
  readonly made_with: string;
  readonly statfs: ManifestStatfs;
  /** One per directory entry, the root included, parents before children, in byte order. */
  readonly entries: readonly ManifestEntry[];
  /** Entries per directory, without `.`, `..` and the virtual names. */
  readonly readdir: readonly {
    readonly path_b64: string;
    readonly path?: string;
    readonly count: number;
  }[];
  /** 24-byte slice records in hex, in list order, by chunk key `c<inode>_<chunk>`. */
  readonly slices: Readonly<Record<string, readonly string[]>>;
  /** Only in `quota`. */
  readonly statfs_paths?: readonly {
    readonly path_b64: string;
    readonly path?: string;
    readonly statfs: ManifestStatfs;
  }[];
  /** Only in `quota`, by kind of quota. */
  readonly quotas?: Readonly<Record<string, readonly ManifestQuota[]>>;
  /** Only in `acl`. */
  readonly access?: readonly ManifestAccess[];
}

interface StoredManifest extends Omit<FixtureManifest, 'entries'> {
  readonly entries: readonly Partial<ManifestEntry>[];
  readonly defaults?: Partial<ManifestEntry>;
}

/**
 * Reads a manifest and completes the entries that are stored in short form.
 *
 * @param path - path of a manifest.json
 */
export async function readManifest(path: string): Promise<FixtureManifest> {
  const { defaults, entries, ...rest } = JSON.parse(await readFile(path, 'utf8')) as StoredManifest;
  const complete = entries.map((entry) =>
    entry.type === undefined ? { ...defaults, ...entry } : entry,
  );
  return { ...rest, entries: complete as ManifestEntry[] };
}
