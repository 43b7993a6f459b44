import { FsError } from '../../posix/errno.ts';
import type { Attr } from '../../posix/attr.ts';
import { type Ino, ROOT_INO } from '../../posix/ino.ts';
import type { FuseContext, FuseOperations } from '../operations.ts';
import type { NativeStat, NativeStatfs } from './fuse-native-package.ts';
import { HandleTable, type OpenFile } from './handle-table.ts';
import type { InodeTable } from './inode-table.ts';
import { NotUtf8Error } from './native-errno.ts';
import { toNativeEntry, toNativeStat, toNativeStatfs } from './native-stat.ts';
import type { PathResolver } from './path-resolver.ts';

/** A listing in the package's form: names and, at the same places, types and inode numbers. */
export interface NativeListing {
  readonly names: string[];
  readonly stats: NativeStat[];
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** {@link FuseOperations} by path, as libfuse 2 asks. Rejects as the operations do. */
export class NativeOperations {
  readonly #operations: FuseOperations;
  readonly #inodes: InodeTable;
  readonly #paths: PathResolver;
  readonly #files = new HandleTable();
  readonly #shown: (attr: Attr) => Attr;
  readonly #onUnspeakable: (path: string) => void;

  constructor(options: {
    readonly operations: FuseOperations;
    readonly inodes: InodeTable;
    readonly paths: PathResolver;
    /** What callers see of an attribute. */
    readonly shown: (attr: Attr) => Attr;
    /** A listing of `path` has names that are not UTF-8. */
    readonly onUnspeakable: (path: string) => void;
  }) {
    this.#operations = options.operations;
    this.#inodes = options.inodes;
    this.#paths = options.paths;
    this.#shown = options.shown;
    this.#onUnspeakable = options.onUnspeakable;
  }

  getattr(context: FuseContext, path: string): Promise<NativeStat> {
    return this.#paths.withInode(context, path, (ino) => this.#stat(context, ino));
  }

  /** Of an open file, which may have lost its name. */
  fgetattr(context: FuseContext, handle: number): Promise<NativeStat> {
    return this.#withFile(handle, ({ ino }) => this.#stat(context, ino));
  }

  readlink(context: FuseContext, path: string): Promise<string> {
    return this.#paths.withInode(context, path, async (ino) => {
      const target = await this.#operations.readlink(context, ino);
      try {
        return UTF8.decode(target);
      } catch {
        throw new NotUtf8Error(`the target of ${path}`);
      }
    });
  }

  /**
   * The whole listing: libfuse 2 takes it in one piece. The package hands neither an opened handle
   * nor an offset to readdir, so the directory is opened here.
   */
  readdir(context: FuseContext, path: string): Promise<NativeListing> {
    return this.#paths.withInode(context, path, async (ino) => {
      const { fh } = await this.#operations.opendir(context, ino);
      try {
        return await this.#list(context, { path, ino, fh });
      } finally {
        this.#operations.releasedir(fh);
      }
    });
  }

  /** @returns a handle, 1 … 2^31 − 1, until {@link release} */
  open(context: FuseContext, path: string, flags: number): Promise<number> {
    return this.#paths.withInode(context, path, async (ino) => {
      const { fh } = await this.#operations.open(context, ino, flags);
      if (context.signal.aborted) {
        // Nobody waits for the handle any more, so nobody would close it.
        this.#operations.release(fh, { taken: false });
        throw new FsError('EINTR', path);
      }
      this.#inodes.retain(ino);
      return this.#files.add({ ino, fh });
    });
  }

  /** @returns how many bytes were put into `buffer` */
  read(
    context: FuseContext,
    handle: number,
    buffer: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<number> {
    return this.#withFile(handle, async ({ ino, fh }) => {
      const reply = await this.#operations.read(context, ino, fh, range);
      try {
        // The buffer was given back with the answer when the request has timed out.
        if (context.signal.aborted) throw new FsError('EINTR');
        let length = 0;
        for (const part of reply.parts) {
          buffer.set(part, length);
          length += part.length;
        }
        return length;
      } finally {
        reply.release();
      }
    });
  }

  release(handle: number): void {
    const file = this.#files.remove(handle);
    if (file !== undefined) this.#close(file);
  }

  async statfs(context: FuseContext): Promise<NativeStatfs> {
    return toNativeStatfs(await this.#operations.statfs(context, ROOT_INO));
  }

  getxattr(context: FuseContext, path: string, name: string): Promise<Uint8Array> {
    return this.#paths.withInode(context, path, (ino) =>
      this.#operations.getxattr(context, ino, Buffer.from(name)),
    );
  }

  /** @returns the names, each with a zero byte behind it */
  listxattr(context: FuseContext, path: string): Promise<Uint8Array> {
    return this.#paths.withInode(context, path, async (ino) => {
      const names = await this.#operations.listxattr(context, ino);
      return Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)]));
    });
  }

  /** Closes what is still open and forgets all inodes; the mount is gone. */
  dispose(): void {
    for (const file of this.#files.removeAll()) this.#close(file);
    this.#paths.clear();
  }

  #close({ ino, fh }: OpenFile): void {
    this.#operations.release(fh);
    this.#inodes.release(ino);
  }

  #withFile<T>(handle: number, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const file = this.#files.get(handle);
    return file === undefined
      ? Promise.reject(new FsError('EBADF', `handle ${handle}`))
      : work(file);
  }

  async #stat(context: FuseContext, ino: Ino): Promise<NativeStat> {
    const known = this.#inodes.attr(ino);
    if (known !== undefined) return toNativeStat(ino, this.#shown(known));
    const version = this.#inodes.version;
    const reply = await this.#operations.getattr(context, ino);
    this.#inodes.keepAttr(ino, reply, version);
    return toNativeStat(ino, this.#shown(reply.attr));
  }

  async #list(
    context: FuseContext,
    { path, ino, fh }: { readonly path: string; readonly ino: Ino; readonly fh: bigint },
  ): Promise<NativeListing> {
    const listing: NativeListing = { names: [], stats: [] };
    const namesVersion = this.#paths.version;
    const attrVersion = this.#inodes.version;
    let unspeakable = false;
    // With attributes, so that the stats which mostly follow a listing are answered from here.
    await this.#operations.readdir(context, ino, fh, { offset: 0n, plus: true }, (found) => {
      const bytes = Buffer.from(found.name.buffer, found.name.byteOffset, found.name.length);
      // Not UTF-8: shown with U+FFFD, since a tool that copies everything must notice it.
      const name = bytes.toString('utf8');
      unspeakable ||= name.includes('\u{fffd}');
      listing.names.push(name);
      listing.stats.push(toNativeEntry(found.ino, found.type));
      if (found.entry !== undefined) {
        this.#inodes.enter(found.entry, attrVersion);
        this.#paths.keepEntry(ino, name, found.entry, namesVersion);
        this.#inodes.release(found.entry.ino);
      }
      return true;
    });
    if (unspeakable) this.#onUnspeakable(path);
    return listing;
  }
}
