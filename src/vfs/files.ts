import { fileHandle, type FuseContext, handleOf, type OpenReply } from '../fuse/operations.ts';
import { FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import type { ExtentPublisher } from './extent-publisher.ts';
import { HandleTable } from './handle-table.ts';
import type { NodeParts, Nodes } from './nodes.ts';
import type { OpenFile } from './open-files.ts';
import { OpenHandle } from './open-handle.ts';
import type { ReadAhead } from './read-ahead.ts';

/** open(2) flags that want to write. @see asm-generic/fcntl.h */
const O_ACCMODE = 0o3;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;

/** What opening a file touches. */
export interface FilesParts extends NodeParts {
  readonly nodes: Nodes;
  readonly publisher: ExtentPublisher;
  readonly ahead: ReadAhead;
  readonly blockBytes: number;
}

/** Open files. */
export class Files {
  readonly #parts: FilesParts;
  readonly #handles: HandleTable<OpenHandle>;
  #dropAttr: ((ino: Ino) => void) | undefined;

  constructor(parts: FilesParts) {
    this.#parts = parts;
    this.#handles = new HandleTable(parts.options.handlesMax);
  }

  /** How many are open. */
  get size(): number {
    return this.#handles.size;
  }

  /** @param dropAttr - makes the kernel ask for an inode's attribute again */
  onStaleAttr(dropAttr: ((ino: Ino) => void) | undefined): void {
    this.#dropAttr = dropAttr;
  }

  /**
   * Close-to-open: sees everything that was closed before. The kernel may keep its pages when the
   * content is the same as at an earlier open.
   *
   * @throws FsError EROFS for writing, ENOENT, EISDIR, EINVAL (no regular file), ENFILE
   */
  async open(context: FuseContext, ino: Ino, flags: number): Promise<OpenReply> {
    if ((flags & O_ACCMODE) !== 0 || (flags & (O_TRUNC | O_APPEND)) !== 0) {
      throw new FsError('EROFS');
    }
    const { files, root, options } = this.#parts;
    const file = await this.#openFile(root.toVolume(ino), context.signal);
    const handle = new OpenHandle(file);
    const { version } = file;
    let number: number;
    try {
      number = this.#handles.add(handle);
    } catch (error) {
      files.close(file, version);
      throw error;
    }
    const keepCache = version.opened;
    version.opened = true;
    this.#publishSmall(handle);
    return {
      fh: fileHandle(version.fileId, number),
      keepCache,
      directIo: options.directIo,
      cacheDir: false,
    };
  }

  /** @throws FsError EBADF */
  handle(fh: bigint): OpenHandle {
    return this.#handles.get(handleOf(fh));
  }

  /** Like {@link handle}; undefined when it is closed. */
  find(fh: bigint): OpenHandle | undefined {
    return this.#handles.find(handleOf(fh));
  }

  release(fh: bigint): void {
    const handle = this.#handles.remove(handleOf(fh));
    if (handle === undefined) return;
    handle.closed = true;
    this.#parts.ahead.end(handle);
    this.#parts.files.close(handle.file, handle.opened);
  }

  async #openFile(ino: Ino, signal: AbortSignal): Promise<OpenFile> {
    const { files, nodes, told } = this.#parts;
    const known = nodes.remembered(ino);
    const ticket = files.ticket();
    const attr = known ?? (await nodes.refresh(ino, signal));
    if (attr.type === FileType.directory) throw new FsError('EISDIR');
    if (attr.type !== FileType.file) throw new FsError('EINVAL', `inode ${ino} is no file`);
    const file = known === undefined ? files.open(ino, attr, ticket) : files.reopen(ino);
    if (told.mayDiffer(ino, file.attr)) {
      told.forget(ino);
      this.#dropAttr?.(this.#parts.root.toKernel(ino));
    }
    return file;
  }

  /** With a warm cache a small file costs the main thread no read. */
  #publishSmall({ version }: OpenHandle): void {
    const { publisher, blockBytes } = this.#parts;
    if (version.lengthBytes > 0 && version.lengthBytes <= blockBytes) {
      publisher.offer(version, 0, { notify: false });
    }
  }
}
