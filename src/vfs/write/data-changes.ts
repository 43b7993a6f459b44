import type { OpenRange } from '../../fuse/mutations.ts';
import type { FuseContext, NewBytes } from '../../fuse/operations.ts';
import type { AllocateMode } from '../../meta/writer.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { O_APPEND, O_DSYNC } from '../../posix/open-flags.ts';
import type { HandleWriting, OpenHandle } from '../open-handle.ts';
import { callOf, type WriteParts } from './write-parts.ts';

/** @see linux/falloc.h */
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;
/** Largest file: 2^31 chunks. */
const FILE_BYTES_MAX = 2 ** 57;

/** Content that changes. Inode numbers are the kernel's. */
export class DataChanges {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  /**
   * @returns how many bytes were taken: all
   * @throws FsError EBADF, EFBIG, EIO, ENOSPC, EDQUOT (also for data that was written before)
   */
  async write(
    context: FuseContext,
    fh: bigint,
    { offset, bytes, isCache, flags }: NewBytes,
  ): Promise<number> {
    const { handle, writing } = this.#writing(fh);
    if (offset + bytes.byteLength >= FILE_BYTES_MAX) throw new FsError('EFBIG');
    const appends = writing.appends && (flags & O_APPEND) !== 0 && !isCache;
    if (appends && handle.file.pending === undefined) await this.#findEnd(context, handle);
    await writing.writer.write(appends ? undefined : offset, bytes, context.signal);
    const isSync = writing.isDirect && (flags & O_DSYNC) !== 0;
    if (isSync) await this.#parts.writers.flush(handle.file.ino, context.signal);
    return bytes.byteLength;
  }

  /**
   * Resolves when everything that was written to a file is where it is safe and where others see it.
   *
   * @throws FsError EIO, ENOSPC, EDQUOT when something was lost
   */
  async flush(context: FuseContext, ino: Ino): Promise<void> {
    const { writers, root } = this.#parts;
    await writers.flush(root.toVolume(ino), context.signal);
  }

  /** {@link flush} for a descriptor that is closed: only those that can write are told of losses. */
  async closing(context: FuseContext, fh: bigint): Promise<void> {
    const handle = this.#parts.files.find(fh);
    if (handle?.writing === undefined) return;
    await this.#parts.writers.flush(handle.file.ino, context.signal);
  }

  /** @throws FsError EBADF, EOPNOTSUPP (mode), EINVAL, EFBIG, ENOSPC, EDQUOT, EIO */
  async fallocate(
    context: FuseContext,
    at: OpenRange,
    { mode, length }: { mode: number; length: bigint },
  ): Promise<void> {
    const { writers, writer, openFiles } = this.#parts;
    const { ino } = this.#writing(at.fh).handle.file;
    const range = { mode: allocateMode(mode), offset: at.offset, length };
    await writers.alone(ino, context.signal, async () => {
      const attr = await writer.fallocate(ino, range, callOf(context));
      openFiles.changed(ino, attr, { content: true });
    });
  }

  /** @throws FsError EBADF, EINVAL, EFBIG, ENOSPC, EDQUOT, EIO */
  async copyFileRange(
    context: FuseContext,
    from: OpenRange,
    to: OpenRange,
    length: bigint,
  ): Promise<number> {
    const { writers, writer, files, openFiles } = this.#parts;
    const source = files.handle(from.fh).file.ino;
    const target = this.#writing(to.fh).handle.file.ino;
    const range = {
      from: { ino: source, offset: from.offset },
      to: { ino: target, offset: to.offset },
      length,
    };
    if (source !== target) await writers.flush(source, context.signal);
    return await writers.alone(target, context.signal, async () => {
      const { copied, attr } = await writer.copyFileRange(range, callOf(context));
      openFiles.changed(target, attr, { content: true });
      return Number(copied);
    });
  }

  /** Whoever appended elsewhere has moved the end. While our own bytes wait, the end is ours. */
  async #findEnd(context: FuseContext, handle: OpenHandle): Promise<void> {
    await this.#parts.nodes.refresh(handle.file.ino, context.signal);
  }

  #writing(fh: bigint): { handle: OpenHandle; writing: HandleWriting } {
    const handle = this.#parts.files.handle(fh);
    if (handle.writing === undefined) throw new FsError('EBADF', 'not opened for writing');
    return { handle, writing: handle.writing };
  }
}

function allocateMode(mode: number): AllocateMode {
  const keepSize = (mode & FALLOC_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_KEEP_SIZE) {
    case 0:
      return { keepSize, how: 'allocate' };
    case FALLOC_PUNCH_HOLE:
      return { keepSize, how: 'punch' };
    case FALLOC_ZERO_RANGE:
      return { keepSize, how: 'zero' };
    default:
      throw new FsError('EOPNOTSUPP');
  }
}
