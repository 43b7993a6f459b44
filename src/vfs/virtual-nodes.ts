import { type Attr, FileType } from '../posix/attr.ts';
import { type Ino, SPECIAL_INO, TRASH_INO, toIno } from '../posix/ino.ts';

/** A name that is not in the metadata. */
export interface VirtualNode {
  readonly name: string;
  readonly ino: Ino;
  readonly attr: Attr;
  /** Found in every directory, not only in the mounted root. */
  readonly everywhere: boolean;
}

/** How long the kernel may believe a virtual node. */
export const VIRTUAL_TIMEOUT_MS = 3_600_000;

const PREFIX = '.jfs';

/** Inodes of the virtual files. */
export const VirtualIno = {
  accessLog: toIno(SPECIAL_INO + 1n),
  control: toIno(SPECIAL_INO + 2n),
  stats: toIno(SPECIAL_INO + 3n),
  config: toIno(SPECIAL_INO + 4n),
} as const;

interface VirtualFile {
  readonly name: string;
  readonly ino: Ino;
  readonly mode: number;
}

/** In the order of JuiceFS's listing. */
const FILES: readonly VirtualFile[] = [
  { name: '.accesslog', ino: VirtualIno.accessLog, mode: 0o400 },
  { name: '.control', ino: VirtualIno.control, mode: 0o666 },
  { name: '.stats', ino: VirtualIno.stats, mode: 0o444 },
  { name: '.config', ino: VirtualIno.config, mode: 0o400 },
];

/** What decides about virtual nodes. */
export interface VirtualOptions {
  readonly prefixInternal: boolean;
  readonly internalUid: number;
  readonly internalGid: number;
  /** False when a sub-directory is mounted. */
  readonly withTrash: boolean;
  /** Length of `.config`. */
  readonly configBytes: number;
  /** All three times of virtual nodes: when the mount started. */
  readonly startedAtMs: number;
}

/**
 * The names and inodes that JuiceFS reserves in the mounted root. `.trash` leads to the volume's
 * trash, with an attribute that is made up.
 */
export class VirtualNodes {
  readonly #byName = new Map<string, VirtualNode>();
  readonly #byIno = new Map<Ino, VirtualNode>();

  constructor(options: VirtualOptions) {
    for (const { name, ino, mode } of FILES) {
      const length = ino === VirtualIno.config ? BigInt(options.configBytes) : 0n;
      const attr = { ...attrBase(options), type: FileType.file, mode, nlink: 1, length };
      this.#add({ name, ino, attr, everywhere: ino === VirtualIno.control }, options);
    }
    if (!options.withTrash) return;
    const type = FileType.directory;
    const attr = { ...attrBase(options), type, mode: 0o555, nlink: 2, length: 0n };
    this.#add({ name: '.trash', ino: TRASH_INO, attr, everywhere: false }, options);
  }

  /** The virtual node that `name` means in a directory. */
  find(name: Uint8Array, inRoot: boolean): VirtualNode | undefined {
    // The longest virtual name has 14 bytes.
    if (name.byteLength > 16 || name[0] !== 0x2e) return undefined;
    const node = this.#byName.get(Buffer.from(name).toString('latin1'));
    return node !== undefined && (inRoot || node.everywhere) ? node : undefined;
  }

  /** The attribute of a virtual inode. */
  attrOf(ino: Ino): Attr | undefined {
    return this.#byIno.get(ino)?.attr;
  }

  /** What the root's listing shows: all but `.control`, which is everywhere. */
  listed(): VirtualNode[] {
    return [...this.#byName.values()].filter((node) => !node.everywhere);
  }

  #add(node: VirtualNode, { prefixInternal }: VirtualOptions): void {
    const named = prefixInternal ? { ...node, name: PREFIX + node.name } : node;
    this.#byName.set(named.name, named);
    this.#byIno.set(named.ino, named);
  }
}

/** Whether an inode is virtual, the trash, or one of its hourly directories. */
export function isSpecial(ino: Ino): boolean {
  return ino >= SPECIAL_INO;
}

/** Whether an inode is special and its attribute is nowhere in the metadata. */
export function isVirtual(ino: Ino): boolean {
  return ino >= SPECIAL_INO && ino <= TRASH_INO;
}

function attrBase({
  internalUid,
  internalGid,
  startedAtMs,
}: VirtualOptions): Omit<Attr, 'type' | 'mode' | 'nlink' | 'length'> {
  const seconds = Math.floor(startedAtMs / 1000);
  const time = { seconds, nanoseconds: Math.round(startedAtMs - seconds * 1000) * 1_000_000 };
  return {
    uid: internalUid,
    gid: internalGid,
    atime: time,
    mtime: time,
    ctime: time,
    rdev: 0,
    parent: toIno(1n),
    flags: 0,
    accessAclId: 0,
    defaultAclId: 0,
    tier: 0,
  };
}
