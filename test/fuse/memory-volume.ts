import type { Attr } from '../../src/posix/attr.ts';
import { FileType } from '../../src/posix/attr.ts';
import { FsError } from '../../src/posix/errno.ts';
import type { Ino } from '../../src/posix/ino.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import type { FuseFileSystem } from '../../src/fuse/file-system.ts';
import type { EntryReply, FuseContext, OpenReply } from '../../src/fuse/operations.ts';
import { fileHandle } from '../../src/fuse/operations.ts';

const TIMEOUT_MS = 60_000;

/** An entry of a {@link MemoryVolume}. */
export interface MemoryNode {
  readonly ino: Ino;
  attr: Attr;
  content: Uint8Array;
  readonly children: Map<string, MemoryNode>;
  readonly xattrs: Map<string, Uint8Array>;
  /** Content version of opened files; 0 keeps worker threads out. */
  fileId: number;
  keepCache: boolean;
  /** How its next opens are answered. */
  openings: Partial<OpenReply>[];
  /** Replaces reading. */
  onRead: ((context: FuseContext) => Promise<void>) | undefined;
  /** It may be written to; what was written is kept here. */
  written: { offset: number; text: string }[] | undefined;
}

/** A small file system for tests of drivers. It counts references and handles like the real one must. */
export class MemoryVolume implements FuseFileSystem {
  readonly root: MemoryNode;
  readonly mutations = undefined;
  readonly lookups = new Map<Ino, bigint>();
  readonly handles = new Map<bigint, MemoryNode>();
  readonly touches: { fh: bigint; offset: number }[] = [];
  readonly #nodes = new Map<Ino, MemoryNode>();
  #lastIno = ROOT_INO;
  #lastHandle = 0;
  /** Of the directory that was begun last: tests list one after the other. */
  #listing: [string, MemoryNode][] | undefined;
  /** Timeouts of entries and attributes that are handed out. */
  timeoutMs = TIMEOUT_MS;
  reads = 0;

  constructor() {
    this.root = this.#create(FileType.directory, ROOT_INO);
  }

  /** @param path - e.g. `a/b`; directories are made as needed */
  add(path: string, type: FileType, content: Uint8Array | string = ''): MemoryNode {
    const names = path.split('/');
    const last = names.pop() as string;
    const parent = names.reduce(
      (node, name) => node.children.get(name) ?? this.#link(node, name, FileType.directory),
      this.root,
    );
    const node = this.#link(parent, last, type);
    node.content = typeof content === 'string' ? Buffer.from(content) : content;
    if (type !== FileType.directory) this.resize(node, BigInt(node.content.byteLength));
    return node;
  }

  /** Changes the size that the kernel is told. */
  resize(node: MemoryNode, length: bigint): void {
    node.attr = { ...node.attr, length };
  }

  async lookup(_: FuseContext, parent: Ino, name: Uint8Array) {
    const child = this.#node(parent).children.get(Buffer.from(name).toString('latin1'));
    if (child === undefined) return { ino: undefined, entryTimeoutMs: this.timeoutMs };
    return this.#enter(child);
  }

  forget(ino: Ino, count: bigint): void {
    const left = (this.lookups.get(ino) ?? 0n) - count;
    if (left < 0n) throw new Error(`inode ${ino} is forgotten more often than looked up`);
    this.lookups.set(ino, left);
  }

  async getattr(_: FuseContext, ino: Ino) {
    return { attr: this.#node(ino).attr, attrTimeoutMs: this.timeoutMs };
  }

  async readlink(_: FuseContext, ino: Ino) {
    return this.#node(ino).content;
  }

  isWritable(ino: Ino): boolean {
    return this.#node(ino).written !== undefined;
  }

  async write(
    _: FuseContext,
    ino: Ino,
    fh: bigint,
    { offset, bytes }: { offset: number; bytes: Uint8Array },
  ): Promise<number> {
    const { written } = this.#node(ino);
    if (written === undefined || !this.handles.has(fh)) throw new FsError('EBADF');
    written.push({ offset, text: Buffer.from(bytes).toString('latin1') });
    return bytes.byteLength;
  }

  async open(_: FuseContext, ino: Ino): Promise<OpenReply> {
    const node = this.#node(ino);
    const fh = this.#handle(node, node.fileId);
    const how = node.openings.shift();
    return { fh, keepCache: node.keepCache, directIo: false, cacheDir: false, ...how };
  }

  async read(
    context: FuseContext,
    ino: Ino,
    _: bigint,
    { offset, length }: { offset: number; length: number },
  ) {
    const node = this.#node(ino);
    this.reads += 1;
    await node.onRead?.(context);
    return { parts: [node.content.subarray(offset, offset + length)], release: () => undefined };
  }

  touched(fh: bigint, offset: number): void {
    this.touches.push({ fh, offset });
  }

  release(fh: bigint): void {
    if (!this.handles.delete(fh)) throw new Error(`handle ${fh} is not open`);
  }

  async opendir(_: FuseContext, ino: Ino): Promise<OpenReply> {
    const fh = this.#handle(this.#node(ino), 0);
    return { fh, keepCache: false, directIo: false, cacheDir: false };
  }

  async readdir(...parameters: Parameters<FuseFileSystem['readdir']>): Promise<void> {
    const [, ino, , { offset, plus }, add] = parameters;
    if (offset === 0n || this.#listing === undefined) this.#listing = [...this.#node(ino).children];
    const children = this.#listing;
    for (let index = Number(offset); index < children.length; index++) {
      const [name, node] = children[index] as [string, MemoryNode];
      const isAdded = add({
        name: Buffer.from(name, 'latin1'),
        ino: node.ino,
        type: node.attr.type,
        nextOffset: BigInt(index + 1),
        entry: plus ? this.#reply(node) : undefined,
      });
      if (!isAdded) return;
      if (plus) this.#enter(node);
    }
  }

  releasedir(fh: bigint): void {
    this.release(fh);
  }

  async statfs() {
    return {
      blockBytes: 4096,
      blocks: 1000n,
      blocksFree: 400n,
      files: 50n,
      filesFree: 20n,
      nameBytesMax: 255,
    };
  }

  async getxattr(_: FuseContext, ino: Ino, name: Uint8Array) {
    const value = this.#node(ino).xattrs.get(Buffer.from(name).toString());
    if (value === undefined) throw new FsError('ENODATA');
    return value;
  }

  async listxattr(_: FuseContext, ino: Ino) {
    return [...this.#node(ino).xattrs.keys()].map((name) => Buffer.from(name));
  }

  async lseek(
    _: FuseContext,
    ino: Ino,
    __: bigint,
    { offset, whence }: { offset: number; whence: 'data' | 'hole' },
  ) {
    const end = Number(this.#node(ino).attr.length);
    if (offset >= end) throw new FsError('ENXIO');
    return whence === 'data' ? offset : end;
  }

  #node(ino: Ino): MemoryNode {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new FsError('ESTALE');
    return node;
  }

  #link(parent: MemoryNode, name: string, type: FileType): MemoryNode {
    this.#lastIno = toIno(this.#lastIno + 1n);
    const node = this.#create(type, this.#lastIno);
    parent.children.set(name, node);
    return node;
  }

  #create(type: FileType, ino: Ino): MemoryNode {
    const isDirectory = type === FileType.directory;
    const node: MemoryNode = {
      ino,
      attr: { ...DEFAULT_ATTR, type, nlink: isDirectory ? 2 : 1, length: isDirectory ? 4096n : 0n },
      content: new Uint8Array(),
      children: new Map(),
      xattrs: new Map(),
      fileId: 0,
      keepCache: false,
      openings: [],
      onRead: undefined,
      written: undefined,
    };
    this.#nodes.set(ino, node);
    return node;
  }

  #handle(node: MemoryNode, fileId: number): bigint {
    this.#lastHandle += 1;
    const fh = fileHandle(fileId, this.#lastHandle);
    this.handles.set(fh, node);
    return fh;
  }

  #enter(node: MemoryNode): EntryReply {
    this.lookups.set(node.ino, (this.lookups.get(node.ino) ?? 0n) + 1n);
    return this.#reply(node);
  }

  #reply({ ino, attr }: MemoryNode): EntryReply {
    return { ino, attr, entryTimeoutMs: this.timeoutMs, attrTimeoutMs: this.timeoutMs };
  }
}

const DEFAULT_TIME = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };

const DEFAULT_ATTR: Attr = {
  type: FileType.file,
  mode: 0o755,
  uid: 0,
  gid: 0,
  atime: DEFAULT_TIME,
  mtime: DEFAULT_TIME,
  ctime: DEFAULT_TIME,
  nlink: 1,
  length: 0n,
  rdev: 0,
  parent: ROOT_INO,
  flags: 0,
  accessAclId: 0,
  defaultAclId: 0,
  tier: 0,
};
