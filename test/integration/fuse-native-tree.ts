import { type Attr, FileType } from '../../src/posix/attr.ts';
import { FsError } from '../../src/posix/errno.ts';
import { type Ino, ROOT_INO, toIno } from '../../src/posix/ino.ts';
import type { EntryReply, FuseContext, FuseOperations } from '../../src/fuse/operations.ts';

/** A node of the tree: a folder, a file with its content, or a symbolic link with its target. */
interface TreeNode {
  readonly ino: Ino;
  readonly attr: Attr;
  readonly bytes: Uint8Array;
  readonly children: Map<string, TreeNode>;
}

/** What a test may look at or change while the tree is mounted. */
export interface TreeFuse extends FuseOperations {
  /** Adds an entry; names are Latin-1 strings, one character per byte. */
  add(parent: Ino, name: string, entry: Partial<Attr>, bytes?: Uint8Array): Ino;
  remove(parent: Ino, name: string): void;
  /** References that were handed out by lookups and listings, less what was forgotten. */
  readonly references: ReadonlyMap<Ino, bigint>;
  readonly openHandles: ReadonlySet<bigint>;
  /** Calls of lookup so far. */
  readonly lookups: number;
  /** Replies of read that were not released. */
  readonly unreleasedReads: number;
  /** Replaces the next answers of getattr: they throw what it returns. */
  failGetattr: (() => Error) | undefined;
}

const TIME = { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
const TIMEOUT_MS = 60_000;

/** A small file system in memory whose answers may be believed for a minute. */
export function treeFuse(): TreeFuse {
  return new Tree();
}

class Tree implements TreeFuse {
  readonly mutations = undefined;
  readonly references = new Map<Ino, bigint>();
  readonly openHandles = new Set<bigint>();
  lookups = 0;
  unreleasedReads = 0;
  failGetattr: (() => Error) | undefined;
  readonly #nodes = new Map<Ino, TreeNode>();
  #lastIno = 1n;
  // Needs more than 32 bits, as real handles do.
  #lastHandle = 1n << 40n;

  constructor() {
    const attr = attrOf({ type: FileType.directory, mode: 0o755, nlink: 2 }, 4096);
    this.#nodes.set(ROOT_INO, {
      ino: ROOT_INO,
      attr,
      bytes: new Uint8Array(),
      children: new Map(),
    });
  }

  add(parent: Ino, name: string, entry: Partial<Attr>, bytes = new Uint8Array()): Ino {
    this.#lastIno += 1n;
    const ino = toIno(this.#lastIno);
    const node = { ino, attr: attrOf(entry, bytes.length), bytes, children: new Map() };
    this.#nodes.set(ino, node);
    this.#node(parent).children.set(name, node);
    return ino;
  }

  remove(parent: Ino, name: string): void {
    this.#node(parent).children.delete(name);
  }

  async lookup(_context: FuseContext, parent: Ino, name: Uint8Array) {
    this.lookups += 1;
    const child = this.#node(parent).children.get(Buffer.from(name).toString('latin1'));
    return child === undefined ? { ino: undefined, entryTimeoutMs: 0 } : this.#entry(child);
  }

  forget(ino: Ino, count: bigint): void {
    const left = (this.references.get(ino) ?? 0n) - count;
    if (left < 0n) throw new Error(`inode ${ino} was forgotten too often`);
    if (left === 0n) this.references.delete(ino);
    else this.references.set(ino, left);
  }

  async getattr(_context: FuseContext, ino: Ino) {
    const failure = this.failGetattr?.();
    if (failure !== undefined) throw failure;
    return { attr: this.#node(ino).attr, attrTimeoutMs: TIMEOUT_MS };
  }

  async readlink(_context: FuseContext, ino: Ino) {
    return this.#node(ino).bytes;
  }

  async open() {
    return this.#open();
  }

  async read(
    _context: FuseContext,
    ino: Ino,
    fh: bigint,
    { offset, length }: { offset: number; length: number },
  ) {
    if (!this.openHandles.has(fh)) throw new FsError('EBADF');
    const bytes = this.#node(ino).bytes.subarray(offset, offset + length);
    this.unreleasedReads += 1;
    const middle = bytes.length >> 1;
    return {
      parts: [bytes.subarray(0, middle), bytes.subarray(middle)],
      release: () => void (this.unreleasedReads -= 1),
    };
  }

  isWritable(): boolean {
    return false;
  }

  async write(): Promise<number> {
    throw new FsError('EROFS');
  }

  touched(): void {}

  release(fh: bigint): void {
    if (!this.openHandles.delete(fh)) throw new Error(`handle ${fh} is not open`);
  }

  async opendir() {
    return this.#open();
  }

  // oxlint-disable-next-line max-params -- the contract's signature
  async readdir(
    _context: FuseContext,
    ino: Ino,
    fh: bigint,
    _options: { offset: bigint; plus: boolean },
    add: Parameters<FuseOperations['readdir']>[4],
  ) {
    if (!this.openHandles.has(fh)) throw new FsError('EBADF');
    let nextOffset = 0n;
    for (const [name, child] of this.#node(ino).children) {
      nextOffset += 1n;
      const entry = this.#entry(child);
      const { type } = child.attr;
      add({ name: Buffer.from(name, 'latin1'), ino: child.ino, type, nextOffset, entry });
    }
  }

  releasedir(fh: bigint): void {
    this.release(fh);
  }

  async statfs() {
    // 1 PiB: more blocks than 32 bits can count.
    const sizes = { blockBytes: 4096, blocks: 1n << 38n, blocksFree: 1n << 37n };
    return { ...sizes, files: 1n << 40n, filesFree: 1000n, nameBytesMax: 255 };
  }

  async getxattr(_context: FuseContext, _ino: Ino, name: Uint8Array) {
    if (Buffer.from(name).toString() === 'user.empty') return new Uint8Array();
    if (Buffer.from(name).toString() !== 'user.raw') throw new FsError('ENODATA');
    return Uint8Array.of(0, 255, 128, 7);
  }

  async listxattr() {
    return [Buffer.from('user.raw'), Buffer.from('user.empty')];
  }

  async lseek(): Promise<number> {
    throw new FsError('EINVAL');
  }

  #entry(node: TreeNode): EntryReply {
    this.references.set(node.ino, (this.references.get(node.ino) ?? 0n) + 1n);
    const timeouts = { entryTimeoutMs: TIMEOUT_MS, attrTimeoutMs: TIMEOUT_MS };
    return { ino: node.ino, attr: node.attr, ...timeouts };
  }

  #open() {
    this.#lastHandle += 1n;
    this.openHandles.add(this.#lastHandle);
    return { fh: this.#lastHandle, keepCache: false, directIo: false, cacheDir: false };
  }

  #node(ino: Ino): TreeNode {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new FsError('ENOENT', `inode ${ino}`);
    return node;
  }
}

function attrOf(entry: Partial<Attr>, lengthBytes: number): Attr {
  return {
    ...{ type: FileType.file, mode: 0o644, uid: 0, gid: 0, nlink: 1, rdev: 0 },
    ...{ atime: TIME, mtime: TIME, ctime: TIME, length: BigInt(lengthBytes) },
    ...{ parent: ROOT_INO, flags: 0, accessAclId: 0, defaultAclId: 0, tier: 0 },
    ...entry,
  };
}
