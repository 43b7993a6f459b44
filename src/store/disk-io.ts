import type { StatsFs } from 'node:fs';
import {
  close,
  fstat,
  mkdir,
  open,
  read,
  readdir,
  readFile,
  rename,
  stat,
  statfs,
  unlink,
  write,
} from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';

const calls = {
  close: promisify(close),
  fstat: promisify(fstat),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  readFile: promisify(readFile),
  rename: promisify(rename),
  stat: promisify(stat),
  statfs: promisify(statfs),
  unlink: promisify(unlink),
};

/** Most bytes that are read, checked or written in one step. */
export const PIECE_BYTES = 256 * 1024;
/** Pieces of memory that are kept for the next read. */
const PIECES_KEPT = 16;

/**
 * File calls of which each has a deadline: a disk that hangs holds up its callers for a bounded
 * time. A call that is given up goes on in the kernel, so reads go to memory of our own and are
 * copied when they arrived: a late one must not fall into memory that serves another block by then.
 */
export class DiskIo {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pieces: Uint8Array[] = [];

  /** @param timeoutMs - for each single call */
  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** @returns a descriptor; one that comes too late is closed */
  openFile(
    path: string,
    how: { flags: string; mode?: number; signal?: AbortSignal },
  ): Promise<number> {
    const opening = calls.open(path, how.flags, how.mode);
    let isLate = false;
    opening.then(
      (fd) => (isLate ? calls.close(fd) : undefined),
      () => undefined,
    );
    return this.#within(`open ${path}`, opening, how.signal).catch((error: unknown) => {
      isLate = true;
      throw error;
    });
  }

  close(fd: number): Promise<void> {
    return this.#within('close', calls.close(fd));
  }

  async sizeOf(fd: number, signal?: AbortSignal): Promise<number> {
    const stats = await this.#within('fstat', calls.fstat(fd), signal);
    return stats.size;
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
    const reading = new Promise<T>((resolve, reject) => {
      read(from.fd, piece, 0, from.length, from.offset, (error, count) => {
        try {
          if (error !== null) reject(error);
          else if (!isGivenUp) resolve(use(piece.subarray(0, count)));
        } catch (failure) {
          reject(failure as Error);
        } finally {
          giveBack();
        }
      });
    });
    return this.#within('read', reading, signal).finally(() => {
      isGivenUp = true;
    });
  }

  /** Writes all bytes. Not given up: `bytes` is in use until this settles. */
  async writeAll(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      at += await new Promise<number>((resolve, reject) => {
        write(fd, bytes, at, bytes.byteLength - at, offset + at, (error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      });
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#within(`rename ${to}`, calls.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#within(`unlink ${path}`, calls.unlink(path));
  }

  readFile(path: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#within(`read ${path}`, calls.readFile(path), signal);
  }

  readFolder(path: string): Promise<string[]> {
    return this.#within(`readdir ${path}`, calls.readdir(path));
  }

  async makeFolder(path: string, options: { recursive: boolean; mode: number }): Promise<void> {
    await this.#within(`mkdir ${path}`, calls.mkdir(path, options));
  }

  async modifiedAtMs(path: string): Promise<number> {
    const stats = await this.#within(`stat ${path}`, calls.stat(path));
    return stats.mtimeMs;
  }

  fileSystem(path: string): Promise<StatsFs> {
    return this.#within(`statfs ${path}`, calls.statfs(path));
  }

  #within<T>(what: string, work: Promise<T>, signal?: AbortSignal): Promise<T> {
    // Whoever gave up does not hear of a later failure.
    work.catch(() => undefined);
    return withDeadline(this.#clock, { what, timeoutMs: this.#timeoutMs, signal }, () => work);
  }
}
