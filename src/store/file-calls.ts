import type { StatsFs } from 'node:fs';
import {
  close,
  fstat,
  fsync,
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

/** How much of a file system is used, in its own units. */
export type FileSystemUsage = Pick<StatsFs, 'blocks' | 'bavail' | 'bsize' | 'files' | 'ffree'>;

/**
 * The file calls that the disk tier makes, each once and without a deadline. All fail with the
 * system's error (`code`: `ENOENT`, `ENOSPC`, …).
 */
export interface FileCalls {
  /** @param flags - as of `fs.open`: `r`, `wx` @returns a descriptor */
  open(path: string, flags: string, mode: number | undefined): Promise<number>;
  close(fd: number): Promise<void>;
  /** Length of an open file in bytes. */
  sizeOf(fd: number): Promise<number>;
  /**
   * Reads up to `length` bytes at `offset` to the beginning of `into`, which is in use until this
   * settles. @returns how many; fewer at the file's end only
   */
  read(fd: number, into: Uint8Array, at: { offset: number; length: number }): Promise<number>;
  /** Writes at `offset`; `bytes` are in use until this settles. @returns how many were written */
  write(fd: number, bytes: Uint8Array, offset: number): Promise<number>;
  /** Has the disk keep what was written to a file, or what names a folder has. */
  sync(fd: number): Promise<void>;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  readFile(path: string): Promise<Uint8Array>;
  /** Names in a folder, in no order. */
  readFolder(path: string): Promise<string[]>;
  makeFolder(path: string, options: { recursive: boolean; mode: number }): Promise<void>;
  /** When a file was last written, in ms since 1970. */
  modifiedAtMs(path: string): Promise<number>;
  usage(path: string): Promise<FileSystemUsage>;
}

const calls = {
  close: promisify(close),
  fstat: promisify(fstat),
  fsync: promisify(fsync),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  readFile: promisify(readFile),
  rename: promisify(rename),
  stat: promisify(stat),
  statfs: promisify(statfs),
  unlink: promisify(unlink),
};

/** The machine's own file systems. */
export const systemFileCalls: FileCalls = {
  open: (path, flags, mode) => calls.open(path, flags, mode),
  close: (fd) => calls.close(fd),
  sizeOf: async (fd) => (await calls.fstat(fd)).size,
  read: (fd, into, { offset, length }) =>
    new Promise((resolve, reject) => {
      read(fd, into, 0, length, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    }),
  write: (fd, bytes, offset) =>
    new Promise((resolve, reject) => {
      write(fd, bytes, 0, bytes.byteLength, offset, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    }),
  sync: (fd) => calls.fsync(fd),
  rename: (from, to) => calls.rename(from, to),
  unlink: (path) => calls.unlink(path),
  readFile: (path) => calls.readFile(path),
  readFolder: (path) => calls.readdir(path),
  makeFolder: async (path, options) => void (await calls.mkdir(path, options)),
  modifiedAtMs: async (path) => (await calls.stat(path)).mtimeMs,
  usage: (path) => calls.statfs(path),
};
