import { CHUNK_BYTES } from '../block/geometry.ts';
import { type BlockStep, planRead, type ReadStep, SliceRecordError } from '../block/read-plan.ts';
import type { ReadReply } from '../fuse/operations.ts';
import { type BlockLoader, BlockReadError } from '../mesh/loader.ts';
import { MetaError } from '../meta/engine.ts';
import { FsError } from '../posix/errno.ts';
import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { sleep, withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Counter, Gauge, Histogram, Metrics } from '../runtime/metrics.ts';
import type { ExtentPublisher } from './extent-publisher.ts';
import type { FileVersion } from './file-version.ts';
import { HeldParts } from './held-parts.ts';
import type { Nodes } from './nodes.ts';
import type { OpenFile } from './open-file.ts';
import type { OpenHandle } from './open-handle.ts';
import type { PlanCache } from './plan-cache.ts';
import type { ReadAhead } from './read-ahead.ts';
import { seek, type SeekRequest } from './seek.ts';

/** What reading works with. */
export interface ReaderParts {
  readonly loader: BlockLoader;
  readonly plans: PlanCache;
  readonly publisher: ExtentPublisher;
  readonly ahead: ReadAhead;
  readonly nodes: Nodes;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly bufferGauge: Gauge;
  /** Resolves when what was written here can be read. @param range - undefined: the whole file */
  readonly beforeReading: (
    file: OpenFile,
    range: FileRange | undefined,
    signal: AbortSignal,
  ) => Promise<void> | undefined;
  readonly blockBytes: number;
  /** Attempts after the first one. */
  readonly retries: number;
  /** Bound of a read with all its attempts. */
  readonly timeoutMs: number;
}

/** A part of a file. */
interface FileRange {
  readonly offset: number;
  readonly length: number;
}

/** Pause before attempt n + 1: (n − 1) × this + 1 ms, as JuiceFS does. */
const RETRY_STEP_MS = 300;
/** Blocks that one read asks for at once; only files written in tiny pieces have more in a read. */
const LOADS_MAX = 64;
/** A reply of more parts is copied into one: a system call takes 1024 at most. */
const PARTS_MAX = 256;
/** Upper bounds of the read size histogram: 4 KiB … 128 KiB in steps of 4 KiB, as JuiceFS has it. */
const READ_SIZES = Array.from({ length: 32 }, (_, index) => (index + 1) * 4096);

/** Reads files: from slice lists to bytes, or to where there are any. */
export class Reader {
  readonly #parts: ReaderParts;
  readonly #sizes: Histogram;
  readonly #retried: Counter;
  readonly #failed: Counter;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    const { metrics } = parts;
    const name = 'vfs_read_size_bytes';
    this.#sizes = metrics.histogram({ name, help: 'Sizes of reads', buckets: READ_SIZES });
    this.#retried = metrics.counter({ name: 'vfs_read_retries', help: 'Reads tried again' });
    this.#failed = metrics.counter({ name: 'vfs_read_failures', help: 'Reads given up' });
  }

  /**
   * Bytes of a file's present content; fewer than asked only at its end.
   *
   * @throws FsError EIO after the last attempt, EBADF when the file is gone and so is its data, what was
   *   written here and lost; the signal's reason when aborted
   */
  async read(handle: OpenHandle, range: FileRange, signal: AbortSignal): Promise<ReadReply> {
    const { ahead, clock, timeoutMs, beforeReading } = this.#parts;
    await beforeReading(handle.file, range, signal);
    this.#sizes.observe(range.length);
    const length = Math.min(range.length, handle.version.lengthBytes - range.offset);
    if (length <= 0) return { parts: [], release: () => undefined };
    const { session, sequential } = ahead.note(handle, { offset: range.offset, length });
    const what = `read of inode ${handle.file.ino} at ${range.offset}`;
    let inner: Promise<HeldParts> | undefined;
    const reading = withDeadline(clock, { what, timeoutMs, signal }, (timed) => {
      inner = this.#insist(handle, range, sequential, timed);
      return inner;
    });
    // Of a file that is read as a whole nothing is left to bring.
    const isAll = length === handle.version.lengthBytes;
    if (!isAll) ahead.advance(handle, session);
    try {
      const parts = await reading;
      const isKnown = this.#publish(handle, range, sequential);
      // The block may be about to land: workers are told of it then.
      if (isAll && !isKnown) ahead.advance(handle, session);
      return this.#reply(parts);
    } catch (error) {
      // Nobody waits any more for what may still come.
      inner?.then(
        (parts) => parts.release(),
        () => undefined,
      );
      throw this.#verdict(error, signal, what);
    }
  }

  /** The next data or hole. @throws as {@link read}; FsError ENXIO, see {@link seek} */
  async seek({ file }: OpenHandle, request: SeekRequest, signal: AbortSignal): Promise<number> {
    const { clock, timeoutMs, plans, beforeReading } = this.#parts;
    await beforeReading(file, undefined, signal);
    const wait = { what: `lseek in inode ${file.ino}`, timeoutMs, signal };
    return await withDeadline(clock, wait, (timed) => seek(plans, file.version, request, timed));
  }

  /** A worker thread has begun to read an extent at `offset` by itself. */
  touched(handle: OpenHandle, offset: number): void {
    const { ahead, blockBytes } = this.#parts;
    const unitOffset = Math.floor(offset / blockBytes) * blockBytes;
    const length = Math.min(blockBytes, handle.version.lengthBytes - unitOffset);
    // The reader is past this unit as far as the main thread is concerned.
    if (length > 0)
      ahead.advance(handle, ahead.note(handle, { offset: unitOffset, length }).session);
  }

  async #insist(
    handle: OpenHandle,
    range: FileRange,
    sequential: boolean,
    signal: AbortSignal,
  ): Promise<HeldParts> {
    const { clock, logger, retries } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(handle.version, range, { sequential, signal });
      } catch (error) {
        if (signal.aborted || attempt > retries || !mayPass(error)) throw error;
        this.#retried.add();
        const fields = { ino: handle.file.ino, ...range, attempt, error: String(error) };
        logger.warn(fields, 'read failed, trying again');
        await sleep(clock, (attempt - 1) * RETRY_STEP_MS + 1, signal);
        await this.#refresh(handle, range, signal);
      }
    }
  }

  /** Asks for attribute and slice lists again: compaction may have moved the data. */
  async #refresh(handle: OpenHandle, range: FileRange, signal: AbortSignal): Promise<void> {
    const { nodes, plans } = this.#parts;
    const { version } = handle;
    const last = Math.floor((range.offset + range.length - 1) / CHUNK_BYTES);
    for (let index = Math.floor(range.offset / CHUNK_BYTES); index <= last; index += 1) {
      plans.drop(version, index);
    }
    try {
      await nodes.refresh(handle.file.ino, signal);
    } catch (error) {
      if (error instanceof FsError && error.code === 'ENOENT') {
        throw new FsError('EBADF', `inode ${handle.file.ino} is gone`, { cause: error });
      }
      // The next attempt asks for slice lists and so meets the same server.
      if (!(error instanceof MetaError)) throw error;
    }
  }

  async #attempt(
    version: FileVersion,
    range: FileRange,
    how: { sequential: boolean; signal: AbortSignal },
  ): Promise<HeldParts> {
    const end = Math.min(range.offset + range.length, version.lengthBytes);
    const steps: ReadStep[] = [];
    for (let at = range.offset; at < end; ) {
      const index = Math.floor(at / CHUNK_BYTES);
      const stop = Math.min(end, (index + 1) * CHUNK_BYTES);
      const { plans, blockBytes } = this.#parts;
      const pieces = plans.cached(version, index) ?? (await plans.load(version, index, how.signal));
      const inChunk = { offset: at - index * CHUNK_BYTES, length: stop - at };
      steps.push(...planRead(pieces, inChunk, blockBytes));
      at = stop;
    }
    return this.#fetch(steps, how);
  }

  async #fetch(
    steps: readonly ReadStep[],
    how: { sequential: boolean; signal: AbortSignal },
  ): Promise<HeldParts> {
    const parts = new HeldParts(steps.length);
    const waiting = steps.entries();
    const loadInTurn = async () => {
      for (const [place, step] of waiting) {
        if (step.key === undefined) parts.putZeros(place, step.at.length);
        else parts.put(place, await this.#load(step, how));
        if (parts.released) return;
      }
    };
    try {
      const loads = Math.min(steps.length, LOADS_MAX);
      await Promise.all(Array.from({ length: loads }, loadInTurn));
      how.signal.throwIfAborted();
      return parts;
    } catch (error) {
      // Blocks that are still on their way are let go when they arrive.
      parts.release();
      throw error;
    }
  }

  #load({ key, inBlock }: BlockStep, how: { sequential: boolean; signal: AbortSignal }) {
    const small = inBlock.offset > 0 && inBlock.length <= key.sizeBytes / 4;
    const whole = how.sequential || !small;
    return this.#parts.loader.read(key, inBlock, { whole, signal: how.signal });
  }

  /** Tells workers of the units that were just read. @returns whether there is nothing more to tell */
  #publish(handle: OpenHandle, range: FileRange, sequential: boolean): boolean {
    const { publisher, blockBytes } = this.#parts;
    const { version } = handle;
    if (!publisher.attached || version !== handle.opened) return true;
    let isKnown = true;
    const last = Math.floor((range.offset + range.length - 1) / blockBytes);
    for (let unit = Math.floor(range.offset / blockBytes); unit <= last; unit += 1) {
      isKnown = publisher.offer(version, unit, { notify: sequential, again: true }) && isKnown;
    }
    return isKnown;
  }

  #reply(parts: HeldParts): ReadReply {
    const { bufferGauge } = this.#parts;
    let bytes = parts.bytes();
    const size = bytes.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (bytes.length > PARTS_MAX) {
      bytes = [Buffer.concat(bytes, size)];
      parts.release();
    }
    bufferGauge.add(size);
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      bufferGauge.add(-size);
      parts.release();
    };
    return { parts: bytes, release };
  }

  /** What a reader is told in the end: data that cannot be had is EIO, whatever the reason. */
  #verdict(error: unknown, signal: AbortSignal, what: string): unknown {
    if (signal.aborted || !mayPass(error)) return error;
    this.#failed.add();
    return new FsError('EIO', `${what} failed`, { cause: error });
  }
}

/** Whether another attempt, with fresh slice lists, may go better. */
function mayPass(error: unknown): boolean {
  return (
    error instanceof BlockReadError ||
    error instanceof MetaError ||
    error instanceof SliceRecordError ||
    (error instanceof CodedError && error.retryable)
  );
}
