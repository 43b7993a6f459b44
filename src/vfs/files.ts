import { fileHandle, type FuseContext, handleOf, type OpenReply } from '../fuse/operations.ts';
import type { OpenInodes } from '../meta/writer.ts';
import { type Attr, FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import { O_ACCMODE, O_APPEND, O_TRUNC } from '../posix/open-flags.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ExtentPublisher } from './extent-publisher.ts';
import { HandleTable } from './handle-table.ts';
import type { FileAhead } from './ahead/file-ahead.ts';
import type { NodeParts, Nodes } from './nodes.ts';
import { type OpenFile, shownAttr } from './open-file.ts';
import { type Adopted } from './open-files.ts';
import { OpenHandle } from './open-handle.ts';
import type { Passthrough, ThroughHandle } from './passthrough.ts';
import type { ReadAhead } from './read-ahead.ts';
import type { Writers } from './write/writers.ts';

/** What opening a file touches. */
export interface FilesParts extends NodeParts {
  readonly nodes: Nodes;
  readonly publisher: ExtentPublisher;
  readonly ahead: ReadAhead;
  readonly fileAhead: FileAhead;
  /** Undefined when the kernel reads nothing by itself. */
  readonly passthrough: Passthrough | undefined;
  readonly blockBytes: number;
  /** Undefined on a read-only mount. */
  readonly writing: FilesWriting | undefined;
  readonly logger: Logger;
}

/** What opening a file touches where files can be written. */
export interface FilesWriting {
  readonly meta: OpenInodes;
  readonly writers: Writers;
}

/** JuiceFS flags of an inode. @see Attr.flags */
const FLAG_IMMUTABLE = 1;
const FLAG_APPEND = 2;
/** Telling the metadata that an unlinked file was closed. */
const CLOSED_TIMEOUT_MS = 60_000;

/** Open files. */
export class Files {
  readonly #parts: FilesParts;
  readonly #handles: HandleTable<OpenHandle>;
  #dropAttr: ((ino: Ino) => void) | undefined;
  #catchUp: () => void = () => undefined;

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
   * @throws FsError EROFS for writing on a read-only mount, ESTALE (it is gone, or has another number:
   *   the kernel looks the name up again), EISDIR, EINVAL (no regular file),
   *   ENFILE, EPERM (immutable, append-only)
   */
  async open(context: FuseContext, ino: Ino, flags: number): Promise<OpenReply> {
    const { root, writing } = this.#parts;
    const writes = (flags & O_ACCMODE) !== 0;
    const changes = writes || (flags & (O_TRUNC | O_APPEND)) !== 0;
    if (changes && writing === undefined) throw new FsError('EROFS');
    const volumeIno = root.toVolume(ino);
    // Counted before it is looked at: who removes it here from now on leaves it to us.
    writing?.meta.opened(volumeIno);
    try {
      const file = await this.#openFile(volumeIno, context.signal);
      return this.#registerOrClose(file, { flags, changes, node: ino });
    } catch (error) {
      if (writing !== undefined) void this.#closed(writing.meta, volumeIno);
      throw error;
    }
  }

  /** Opens a file that was just made. */
  openCreated(ino: Ino, attr: Attr, flags: number): OpenReply {
    const { files } = this.#parts;
    const file = files.open(ino, attr, files.ticket());
    return this.#registerOrClose(file, { flags, changes: false, node: undefined });
  }

  /** @param how - `node`: what the kernel opens; undefined: what it is about to be told */
  #registerOrClose(
    file: OpenFile,
    { flags, changes, node }: { flags: number; changes: boolean; node: Ino | undefined },
  ): OpenReply {
    try {
      if (changes) checkFlags(file.attr, flags);
      const { passthrough } = this.#parts;
      if (node !== undefined) {
        return this.#register(file, flags, passthrough?.open(file, { node, flags }));
      }
      passthrough?.created(file);
      return this.#register(file, flags, undefined);
    } catch (error) {
      this.#parts.files.close(file, file.version);
      this.#parts.passthrough?.closed(file, undefined);
      throw error;
    }
  }

  /** The metadata knows that the inode is open. */
  #register(file: OpenFile, flags: number, through: ThroughHandle | undefined): OpenReply {
    const { options: vfs, writing } = this.#parts;
    const appends = (flags & O_APPEND) !== 0;
    const writes = (flags & O_ACCMODE) !== 0;
    const { version } = file;
    // The kernel appends where it believes the end to be; what it thinks must leave no pages.
    const isDirect = vfs.directIo || (writes && appends);
    const how =
      writes && writing ? { writer: writing.writers.open(file.ino), appends, isDirect } : undefined;
    const handle = new OpenHandle(file, version, { writing: how, through });
    let number: number;
    try {
      number = this.#handles.add(handle);
    } catch (error) {
      if (how !== undefined) writing?.writers.close(how.writer);
      this.#parts.passthrough?.closed(file, through);
      throw error;
    }
    this.#publishSmall(handle);
    return {
      fh: fileHandle(version.fileId, number),
      // Where the kernel reads by itself it must have no pages of its own.
      keepCache: version.opened && through === undefined,
      directIo: isDirect || through?.isDirect === true,
      cacheDir: false,
      backingId: through?.backing.id,
    };
  }

  /**
   * Another thread opens files, too.
   *
   * @param catchUp - calls {@link adopt} for what was opened there so far
   */
  onForeignHandle(catchUp: () => void): void {
    this.#catchUp = catchUp;
  }

  /** Sets a handle number aside for another thread; undefined when too many are open. */
  reserve(): number | undefined {
    return this.#handles.reserve();
  }

  /** A reserved number was given out for a file. @param opened - see {@link OpenFiles.adopt} */
  adopt(opened: Adopted & { readonly handle: number }): void {
    const { file, opened: version } = this.#parts.files.adopt(opened);
    const handle = new OpenHandle(file, version);
    this.#handles.fill(opened.handle, handle);
    this.#parts.writing?.meta.opened(opened.ino);
    this.#publishSmall(handle);
    this.#parts.passthrough?.adopted(file);
  }

  /** @throws FsError EBADF */
  handle(fh: bigint): OpenHandle {
    return this.taken(fh) ?? this.#handles.get(handleOf(fh));
  }

  /**
   * Like {@link find}, for a handle that the kernel uses: so it has dealt with the answer to its open
   * and dropped its pages of older content. Only from then on it may keep them at an open.
   */
  taken(fh: bigint): OpenHandle | undefined {
    const handle = this.find(fh);
    if (handle !== undefined) this.#parts.files.markOpened(handle.file, handle.opened);
    return handle;
  }

  /** A handle, also one that another thread has just opened; undefined when it is closed. */
  find(fh: bigint): OpenHandle | undefined {
    const number = handleOf(fh);
    const handle = this.#handles.find(number);
    if (handle !== undefined) return handle;
    this.#catchUp();
    return this.#handles.find(number);
  }

  /** The kernel has closed a handle, so it had got it: its pages are those of the handle's version. */
  release(fh: bigint): void {
    if (this.taken(fh) !== undefined) this.abandon(handleOf(fh));
  }

  /** A handle ends that the kernel may never have got. */
  abandon(number: number): void {
    const handle = this.#handles.remove(number);
    if (handle === undefined) return;
    handle.closed = true;
    this.#parts.ahead.end(handle);
    const { writing, files } = this.#parts;
    if (writing !== undefined) {
      if (handle.writing !== undefined) writing.writers.close(handle.writing.writer);
      void this.#closed(writing.meta, handle.file.ino);
    }
    files.close(handle.file, handle.opened);
    this.#parts.passthrough?.closed(handle.file, handle.through);
  }

  /** After the last close an unlinked file is removed; nobody waits for that. */
  async #closed(meta: OpenInodes, ino: Ino): Promise<void> {
    const { clock, logger } = this.#parts;
    const wait = { what: `closing inode ${ino}`, timeoutMs: CLOSED_TIMEOUT_MS };
    try {
      await withDeadline(clock, wait, (signal) => meta.closed(ino, signal));
    } catch (error) {
      const fields = { ino: String(ino), error: String(error) };
      logger.warn(fields, 'an unlinked file is left for the clean-up of sessions');
    }
  }

  async #openFile(ino: Ino, signal: AbortSignal): Promise<OpenFile> {
    const { files, nodes, told } = this.#parts;
    const known = nodes.remembered(ino);
    const ticket = files.ticket();
    const attr = known ?? (await nodes.refresh(ino, signal).catch(lookAgain));
    if (attr.type === FileType.directory) throw new FsError('EISDIR');
    if (attr.type !== FileType.file) throw new FsError('EINVAL', `inode ${ino} is no file`);
    const file = known === undefined ? files.open(ino, attr, ticket) : files.reopen(ino);
    if (told.mayDiffer(ino, shownAttr(file))) {
      told.forget(ino);
      this.#dropAttr?.(this.#parts.root.toKernel(ino));
    }
    files.markBelieved(file);
    return file;
  }

  /** With a warm cache a small file costs the main thread no read. */
  #publishSmall({ version, file }: OpenHandle): void {
    const { publisher, fileAhead, blockBytes } = this.#parts;
    if (version.lengthBytes === 0 || version.lengthBytes > blockBytes) return;
    const isPublished = publisher.offer(version, 0, { notify: false });
    const isReady = isPublished || (!publisher.attached && publisher.isAtHand(version, 0));
    fileAhead.opened({ version, parent: file.attr.parent, isReady });
  }
}

/**
 * An inode that is gone has lost a name that the kernel remembers, often to a file that was renamed over
 * it: ESTALE makes the kernel look the name up and open what has it now.
 *
 * @throws FsError ESTALE in place of ENOENT; what else it is given
 */
function lookAgain(error: unknown): never {
  const isGone = error instanceof FsError && error.code === 'ENOENT';
  throw isGone ? new FsError('ESTALE', error.message, { cause: error }) : error;
}

/** @throws FsError EPERM for changes that the inode's flags forbid */
function checkFlags({ flags: inodeFlags }: Attr, flags: number): void {
  const isImmutable = (inodeFlags & FLAG_IMMUTABLE) !== 0;
  const onlyAppends = (flags & O_APPEND) !== 0 && (flags & O_TRUNC) === 0;
  if (isImmutable || ((inodeFlags & FLAG_APPEND) !== 0 && !onlyAppends)) throw new FsError('EPERM');
}
