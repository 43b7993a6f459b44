import type { Clock } from '../runtime/clock.ts';
import { waitWithin } from '../runtime/deadline.ts';
import { DiskPace } from './disk-pace.ts';
import type { FileCalls, FileSystemUsage } from './file-calls.ts';

/** A disk that does not answer one call for this long counts as failing. JuiceFS has the same. */
export const DISK_IO_TIMEOUT_MS = 30_000;
/** Most bytes that are read, checked or written in one step. */
export const PIECE_BYTES = 256 * 1024;
/** Pieces of memory that are kept for the next read. */
const PIECES_KEPT = 16;

/**
 * File calls on one disk, of which each has a deadline: a disk that hangs holds up its callers for a bounded
 * time. A call that is given up goes on in the kernel, so reads go to memory of our own and are
 * copied when they arrived: a late one must not fall into memory that serves another block by then.
 */
export class DiskIo {
  /** Of the calls that readers wait for. */
  readonly pace: DiskPace;
  readonly #calls: FileCalls;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pieces: Uint8Array[] = [];

  /** @param timeoutMs - for each single call */
  constructor(calls: FileCalls, clock: Clock, timeoutMs: number) {
    this.#calls = calls;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.pace = new DiskPace(clock);
  }

  /** @returns a descriptor; one that comes too late is closed */
  openFile(
    path: string,
    how: { flags: string; mode?: number; signal?: AbortSignal },
  ): Promise<number> {
    const calls = this.#calls;
    const opening = calls.open(path, how.flags, how.mode);
    let isLate = false;
    // Nobody hears how that goes: whoever waited has its error.
    opening.then((fd) => (isLate ? calls.close(fd) : undefined)).catch(() => undefined);
    if (how.flags === 'r') this.pace.follow(opening);
    return this.#within(`open ${path}`, opening, how.signal).catch((error: unknown) => {
      isLate = true;
      throw error;
    });
  }

  close(fd: number): Promise<void> {
    return this.#within('close', this.#calls.close(fd));
  }

  sizeOf(fd: number, signal?: AbortSignal): Promise<number> {
    const asking = this.#calls.sizeOf(fd);
    this.pace.follow(asking);
    return this.#within('fstat', asking, signal);
  }

  /**
   * Reads up to {@link PIECE_BYTES}, hands them to `use` at once, and takes the memory back.
   *
   * @returns what `use` returns
   */
  readPiece<T>(
    from: { fd: number; offset: number; length: number },
    signal: AbortSignal | undefined,
    use: (bytes: Uint8Array) => T,
  ): Promise<T> {
    const piece = this.#pieces.pop() ?? new Uint8Array(PIECE_BYTES);
    const giveBack = () => {
      if (this.#pieces.length < PIECES_KEPT) this.#pieces.push(piece);
    };
    let isGivenUp = false;
    const reading = this.#calls
      .read(from.fd, piece, from)
      .then((count) => {
        if (isGivenUp) throw new Error('nobody waits for these bytes any more');
        return use(piece.subarray(0, count));
      })
      .finally(giveBack);
    this.pace.follow(reading);
    return this.#within('read', reading, signal).finally(() => {
      isGivenUp = true;
    });
  }

  /** Writes all bytes. Not given up: `bytes` is in use until this settles. */
  async writeAll(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      at += await this.#calls.write(fd, bytes.subarray(at), offset + at);
    }
  }

  /** Resolves when the disk has what was written. */
  sync(fd: number): Promise<void> {
    return this.#within('fsync', this.#calls.sync(fd));
  }

  /** Waits for a call that the disk has to answer, within the time that each call has. */
  answered<T>(what: string, work: Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#within(what, work, signal);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#within(`rename ${to}`, this.#calls.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#within(`unlink ${path}`, this.#calls.unlink(path));
  }

  readFile(path: string, signal?: AbortSignal): Promise<Uint8Array> {
    const reading = this.#calls.readFile(path);
    this.pace.follow(reading);
    return this.#within(`read ${path}`, reading, signal);
  }

  readFolder(path: string): Promise<string[]> {
    return this.#within(`readdir ${path}`, this.#calls.readFolder(path));
  }

  async makeFolder(path: string, options: { recursive: boolean; mode: number }): Promise<void> {
    await this.#within(`mkdir ${path}`, this.#calls.makeFolder(path, options));
  }

  modifiedAtMs(path: string): Promise<number> {
    return this.#within(`stat ${path}`, this.#calls.modifiedAtMs(path));
  }

  fileSystem(path: string): Promise<FileSystemUsage> {
    return this.#within(`statfs ${path}`, this.#calls.usage(path));
  }

  #within<T>(what: string, work: Promise<T>, signal?: AbortSignal): Promise<T> {
    return waitWithin(this.#clock, { what, timeoutMs: this.#timeoutMs, signal }, work);
  }
}
