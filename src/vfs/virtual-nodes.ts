import { type Attr, FileType } from '../posix/attr.ts';
import { type Ino, SPECIAL_INO, TRASH_INO, toIno } from '../posix/ino.ts';

/** A name that is not in the metadata. */
export interface VirtualNode {
  readonly name: string;
  readonly ino: Ino;
  /** Undefined when the name is only reserved: a look-up does not find it. */
  readonly attr: Attr | undefined;
  /** Found in every directory, not only in the mounted root. */
  readonly everywhere: boolean;
}

/** How long the kernel may believe a virtual node. */
export const VIRTUAL_TIMEOUT_MS = 3_600_000;

const PREFIX = '.jfs';
const INO_OF_FILES: readonly (readonly [string, bigint])[] = [
  ['.accesslog', 1n],
  ['.control', 2n],
  ['.stats', 3n],
  ['.config', 4n],
];

/** What decides about virtual nodes. */
export interface VirtualOptions {
  readonly prefixInternal: boolean;
  readonly internalUid: number;
  readonly internalGid: number;
  /** False when a sub-directory is mounted. */
  readonly withTrash: boolean;
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
    for (const [name, number] of INO_OF_FILES) {
      const ino = toIno(SPECIAL_INO + number);
      this.#add({ name, ino, attr: undefined, everywhere: name === '.control' }, options);
    }
    if (!options.withTrash) return;
    const attr = trashAttr(options);
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

  /** What the root's listing shows. */
  listed(): VirtualNode[] {
    return [...this.#byName.values()].filter((node) => node.attr !== undefined);
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

function trashAttr({ internalUid, internalGid, startedAtMs }: VirtualOptions): Attr {
  const seconds = Math.floor(startedAtMs / 1000);
  const time = { seconds, nanoseconds: Math.round(startedAtMs - seconds * 1000) * 1_000_000 };
  return {
    type: FileType.directory,
    mode: 0o555,
    uid: internalUid,
    gid: internalGid,
    atime: time,
    mtime: time,
    ctime: time,
    nlink: 2,
    length: 0n,
    rdev: 0,
    parent: toIno(1n),
    flags: 0,
    accessAclId: 0,
    defaultAclId: 0,
    tier: 0,
  };
}
