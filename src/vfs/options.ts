import { type Ino, ROOT_INO } from '../posix/ino.ts';

/** How a volume is presented. Names and defaults are those of JuiceFS's mount options. */
export interface VfsOptions {
  /** The directory that is shown as the root; anything but the volume's root hides `.trash`. */
  readonly rootIno: Ino;
  /** How long the kernel believes attributes. */
  readonly attrCacheMs: number;
  /** How long the kernel believes the names of anything but directories. */
  readonly entryCacheMs: number;
  /** How long the kernel believes the names of directories. */
  readonly dirEntryCacheMs: number;
  /** How long the kernel believes that a name is not there. */
  readonly negativeEntryCacheMs: number;
  /** The kernel may keep listings. */
  readonly readdirCache: boolean;
  /** How long attributes of opened files are used without asking again; 0 = close-to-open. */
  readonly openCacheMs: number;
  /** Files whose attributes and slice lists are kept; those that are open stay. 0 = no limit. */
  readonly openCacheLimit: number;
  /** Virtual names do not show in the listing of the root. */
  readonly hideInternal: boolean;
  /** Virtual names begin with `.jfs`. */
  readonly prefixInternal: boolean;
  /** Owner of virtual nodes. */
  readonly internalUid: number;
  readonly internalGid: number;
  /** Extended attributes; POSIX ACLs work without it when the volume has them. */
  readonly enableXattr: boolean;
  /** `security.capability`. */
  readonly enableCap: boolean;
  /** `security.selinux`. */
  readonly enableSelinux: boolean;
  /** Opened files bypass the kernel's page cache. */
  readonly directIo: boolean;
  /** Memory for data on its way; read-ahead gets 80 % of it. */
  readonly bufferBytes: number;
  /** Read-ahead of one stream; undefined = 8 blocks, 0 = none. */
  readonly maxReadaheadBytes: number | undefined;
  /** Small files that may be in memory before they are opened; 0 = none are brought. */
  readonly fileAheadBytes: number;
  /** How often a failed read is tried again. */
  readonly ioRetries: number;
  /** Bound of one read with all its retries, of a seek, and of a request for a slice list. */
  readonly ioTimeoutMs: number;
  /** Open files, and open directories, at most. */
  readonly handlesMax: number;
  /** Slice pieces in cached reading plans, of all files together (about 100 bytes each). */
  readonly planPiecesMax: number;
  /** Symlink targets kept. */
  readonly symlinksMax: number;
}

/** JuiceFS's defaults; what JuiceFS has no option for is bounded so that it costs ≤ 50 MB. */
export const DEFAULT_VFS_OPTIONS: VfsOptions = {
  rootIno: ROOT_INO,
  attrCacheMs: 1_000,
  entryCacheMs: 1_000,
  dirEntryCacheMs: 1_000,
  negativeEntryCacheMs: 0,
  readdirCache: false,
  openCacheMs: 0,
  openCacheLimit: 10_000,
  hideInternal: false,
  prefixInternal: false,
  internalUid: 0,
  internalGid: 0,
  enableXattr: false,
  enableCap: false,
  enableSelinux: false,
  directIo: false,
  bufferBytes: 300 * 1024 * 1024,
  maxReadaheadBytes: undefined,
  fileAheadBytes: 0,
  ioRetries: 10,
  ioTimeoutMs: 60_000,
  handlesMax: 1_000_000,
  planPiecesMax: 300_000,
  symlinksMax: 10_000,
};
