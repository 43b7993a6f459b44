import assert from 'node:assert/strict';
import { CHUNK_BYTES } from '../../block/geometry.ts';
import type { Attr, Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { abortable } from '../../runtime/abortable.ts';
import type { FileVersion } from '../file-version.ts';
import { type OpenFile, shownAttr } from '../open-file.ts';
import { sliceFor } from './chunk-slices.ts';
import type { CommitRun } from './commit-run.ts';
import { lossError, WriteAbortedError } from './write-error.ts';
import type { WritersShared } from './writers-shared.ts';
import { WriteSlice } from './write-slice.ts';

/** Slices of one file that are not committed; a writer that makes more waits. JuiceFS has the same. */
const SLICES_MAX = 1_000;
/** From here on all but the newest are sent. */
const SLICES_MANY = 800;

/** Who keeps the writers. */
export interface FileWriterHooks {
  /** There is something to send. */
  readonly onDirty: () => void;
  /** Everything is committed. */
  readonly onClean: () => void;
}

/**
 * New data of one file on its way: slices are filled, sent and then committed one after the other in
 * the order in which they were begun, so that what others see is always some prefix of the writes.
 */
export class FileWriter {
  readonly file: OpenFile;
  /** The version that was current when the file was opened for this writer. */
  readonly held: FileVersion;
  readonly #shared: WritersShared;
  readonly #hooks: FileWriterHooks;
  readonly #slices: WriteSlice[] = [];
  /** Waits for the queue of slices to move on. */
  #moved = Promise.withResolvers<void>();
  #committing = false;
  /** Slices of which it is not known whether they are committed: their objects must stay. */
  #unsure: readonly WriteSlice[] = [];
  #failure: FsError | undefined;
  /** Whoever must be alone with the file; writes wait for it. */
  #alone: Promise<void> | undefined;
  /** Handles that can be told of a failure. */
  handles = 0;

  constructor(
    file: OpenFile,
    shared: WritersShared,
    hooks: (writer: FileWriter) => FileWriterHooks,
  ) {
    this.#hooks = hooks(this);
    this.file = file;
    this.held = file.version;
    this.#shared = shared;
  }

  get ino(): Ino {
    return this.file.ino;
  }

  /** Whether something is not committed. */
  get dirty(): boolean {
    return this.#slices.length > 0;
  }

  /** What was lost; every handle is told until the last one is closed. */
  get failure(): FsError | undefined {
    return this.#failure;
  }

  /**
   * Takes bytes. They are not lost silently from here on: they get committed, or {@link flush} throws.
   *
   * @param offset - in bytes; undefined: at the end
   * @throws FsError for data that was lost before; the signal's reason when aborted while waiting
   */
  async write(offset: number | undefined, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const release = await this.#shared.acquire(bytes.byteLength, signal);
    try {
      await this.#untilWritable(signal);
      // From here to the end nothing waits: two writes are never mixed.
      this.#put(offset ?? Number(shownAttr(this.file).length), bytes, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Resolves when everything that was written before is committed.
   *
   * @throws FsError when something was lost; the signal's reason when aborted
   */
  async flush(signal: AbortSignal): Promise<void> {
    this.freeze();
    const last = this.#slices.at(-1);
    while (last !== undefined && this.#slices.includes(last)) {
      await abortable(this.#moved.promise, signal);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Whether a part of the file is not as the metadata has it. */
  touches(offset: number, length: number): boolean {
    return this.#slices.some((slice) => {
      const start = slice.index * CHUNK_BYTES;
      return slice.overlaps(offset - start, offset + length - start);
    });
  }

  /** Whether somebody is {@link alone} with the file. */
  get isTaken(): boolean {
    return this.#alone !== undefined;
  }

  /** Resolves when whoever is alone with the file now has left it. @throws the signal's reason */
  async untilFree(signal: AbortSignal): Promise<void> {
    if (this.#alone !== undefined) await abortable(this.#alone, signal);
  }

  /** Runs `work` while nothing is written to the file; nobody else must be at it. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    assert(this.#alone === undefined, 'two that want to be alone with a file');
    const leaving = Promise.withResolvers<void>();
    this.#alone = leaving.promise;
    try {
      return await work();
    } finally {
      this.#alone = undefined;
      leaving.resolve();
    }
  }

  /** Sends what was written so far. @param before - only slices begun, or idle, before that time */
  freeze(before?: { startedMs: number; idleMs: number }): void {
    let place = this.#slices.length - 1;
    if (before !== undefined) {
      const isDue = (slice: WriteSlice) =>
        slice.startedMs < before.startedMs || slice.lastWriteMs < before.idleMs;
      place = this.#slices.findLastIndex((slice) => !slice.frozen && isDue(slice));
    }
    this.#freezeUpTo(place);
  }

  /** Gives up everything that is not committed. */
  abort(reason: WriteAbortedError): void {
    if (this.dirty) this.#lose(reason);
  }

  async #untilWritable(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#alone !== undefined) await abortable(this.#alone, signal);
      else if (this.#slices.length >= SLICES_MAX) await abortable(this.#moved.promise, signal);
      else return;
    }
  }

  #put(offset: number, bytes: Uint8Array, release: () => void): void {
    const { clock, times, files } = this.#shared;
    const nowMs = clock.nowMs();
    let last: WriteSlice | undefined;
    for (let done = 0; done < bytes.byteLength; ) {
      const at = offset + done;
      const index = Math.floor(at / CHUNK_BYTES);
      const inChunk = at - index * CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - inChunk, bytes.byteLength - done);
      const slice = this.#sliceFor(index, inChunk, { length, nowMs });
      slice.write(inChunk, bytes.subarray(done, done + length), nowMs);
      if (slice.end === CHUNK_BYTES) this.#freezeUpTo(this.#slices.indexOf(slice));
      last = slice;
      done += length;
    }
    if (last === undefined) release();
    else last.releases.push(release);
    files.wrote(this.file, offset + bytes.byteLength, times.now());
    if (this.#slices.length > SLICES_MANY) this.#freezeUpTo(this.#slices.length - 2);
  }

  #sliceFor(
    index: number,
    offset: number,
    { length, nowMs }: { length: number; nowMs: number },
  ): WriteSlice {
    const found = sliceFor(this.#slices, { index, offset, end: offset + length });
    if (found !== undefined) return found;
    const slice = new WriteSlice(this.#shared, { index, pos: offset, nowMs });
    this.#slices.push(slice);
    this.#hooks.onDirty();
    return slice;
  }

  #freezeUpTo(place: number): void {
    for (const slice of this.#slices.slice(0, place + 1)) slice.freeze();
    if (this.#slices[0]?.frozen === true) void this.#commitAll();
  }

  /** Commits frozen slices from the front of the queue until it meets one that is not. */
  async #commitAll(): Promise<void> {
    if (this.#committing) return;
    this.#committing = true;
    try {
      while (this.#slices[0]?.frozen === true) await this.#commitSome();
    } catch (error) {
      this.#lose(error);
    } finally {
      this.#committing = false;
      if (!this.dirty) this.#hooks.onClean();
    }
  }

  async #commitSome(): Promise<void> {
    const { commits } = this.#shared;
    const first = this.#slices[0] as WriteSlice;
    await first.done;
    const ready = this.#ready(commits);
    const mtime = this.file.pending?.mtime as Timespec;
    this.#unsure = ready;
    try {
      const attr = await commits.commit(this.ino, ready, mtime);
      this.#unsure = [];
      if (this.#slices[0] === first) this.#committed(ready, attr);
    } catch (error) {
      // What throws FsError has changed nothing.
      if (error instanceof FsError) this.#unsure = [];
      throw error;
    }
  }

  #committed(ready: readonly WriteSlice[], attr: Attr): void {
    this.#slices.splice(0, ready.length);
    for (const slice of ready) {
      slice.free();
      giveBack(slice);
    }
    this.#shared.files.committed(this.file, attr, this.dirty);
    this.#wake();
  }

  #ready({ slicesMax }: CommitRun): WriteSlice[] {
    const end = this.#slices.findIndex(({ uploaded }) => !uploaded);
    return this.#slices.slice(0, Math.min(slicesMax, end === -1 ? this.#slices.length : end));
  }

  /** Nothing of what waits can be kept: what follows a loss must not be seen without what was lost. */
  #lose(cause: unknown): void {
    const { logger, lost, files } = this.#shared;
    const what = `inode ${this.ino}`;
    const slices = this.#slices.splice(0);
    if (slices.length === 0) return;
    this.#failure ??= lossError(cause, what);
    const bytes = slices.reduce((sum, { length }) => sum + length, 0);
    lost.add(bytes);
    const error = cause instanceof Error ? cause.message : String(cause);
    logger.error({ ino: String(this.ino), bytes, error }, 'written data was lost');
    const reason = new WriteAbortedError('aborted', `${what}: an earlier write was lost`);
    // Where only the commit was refused, the object store answers soon.
    const underWay = cause instanceof FsError ? 'wait' : 'end';
    for (const slice of slices) {
      if (!this.#unsure.includes(slice)) slice.abort(reason, underWay);
      giveBack(slice);
    }
    files.gaveUp(this.file);
    this.#wake();
  }

  #wake(): void {
    const moved = this.#moved;
    this.#moved = Promise.withResolvers();
    moved.resolve();
  }
}

function giveBack(slice: WriteSlice): void {
  for (const release of slice.releases.splice(0)) release();
}
