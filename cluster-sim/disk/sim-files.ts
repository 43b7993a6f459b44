import { dirname } from 'node:path';
import type { FileCalls, FileSystemUsage } from '../../src/store/file-calls.ts';
import { flipBit } from '../world/flip-bit.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { SimDisk, SimFile } from './sim-disk.ts';

const FS_BLOCK_BYTES = 4096;
const FS_FILES = 1_000_000;
/** Wall time of file times: the same origin as the nodes' clocks. */
const WALL_START_MS = 1_700_000_000_000;

/** The file calls of one process on its machine's disk. */
export class SimFiles implements FileCalls {
  readonly #disk: SimDisk;
  readonly #time: NodeTime;
  readonly #random: SeededRandom;
  readonly #open = new Map<number, SimFile>();
  #lastFd = 2;

  constructor(disk: SimDisk, time: NodeTime, random: SeededRandom) {
    this.#disk = disk;
    this.#time = time;
    this.#random = random;
  }

  /** Files that are open. */
  get openCount(): number {
    return this.#open.size;
  }

  open(path: string, flags: string): Promise<number> {
    return this.#call(0, () => {
      const { files } = this.#disk;
      let file = files.get(path);
      if (flags === 'wx') {
        if (file !== undefined) throw systemError('EEXIST', path);
        this.#checkFolder(path);
        file = { bytes: new Uint8Array(0), modifiedAtMs: this.#disk.nowMs };
        files.set(path, file);
      }
      if (file === undefined) throw systemError('ENOENT', path);
      this.#lastFd += 1;
      this.#open.set(this.#lastFd, file);
      return this.#lastFd;
    });
  }

  close(fd: number): Promise<void> {
    return this.#call(0, () => {
      this.#fileOf(fd);
      this.#open.delete(fd);
    });
  }

  sizeOf(fd: number): Promise<number> {
    return this.#call(0, () => this.#bytesOf(fd).byteLength);
  }

  read(fd: number, into: Uint8Array, at: { offset: number; length: number }): Promise<number> {
    return this.#call(at.length, () => {
      const part = this.#bytesOf(fd).subarray(at.offset, at.offset + at.length);
      into.set(part);
      if (part.byteLength > 0 && this.#random.chance(this.#disk.quality.flipRate)) {
        flipBit(into.subarray(0, part.byteLength), this.#random);
      }
      return part.byteLength;
    });
  }

  write(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
    return this.#call(bytes.byteLength, () => {
      const file = this.#fileOf(fd);
      const old = this.#bytesOf(fd);
      const { sizeBytes, foreignBytes } = this.#disk.quality;
      if (this.#disk.usedBytes + foreignBytes + bytes.byteLength > sizeBytes) {
        throw systemError('ENOSPC', 'write');
      }
      const grown = new Uint8Array(Math.max(old.byteLength, offset + bytes.byteLength));
      grown.set(old);
      grown.set(bytes, offset);
      file.bytes = grown;
      file.modifiedAtMs = this.#disk.nowMs;
      return bytes.byteLength;
    });
  }

  /** What was written survives the process as it is; machines do not crash in the simulation. */
  sync(fd: number): Promise<void> {
    return this.#call(0, () => void this.#fileOf(fd));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call(0, () => {
      const { files } = this.#disk;
      const file = files.get(from);
      if (file === undefined) throw systemError('ENOENT', from);
      this.#checkFolder(to);
      files.delete(from);
      files.set(to, file);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#call(0, () => {
      if (!this.#disk.files.delete(path)) throw systemError('ENOENT', path);
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#call(0, () => {
      const bytes = this.#disk.files.get(path)?.bytes;
      if (bytes === undefined) throw systemError('ENOENT', path);
      return bytes.slice();
    });
  }

  readFolder(path: string): Promise<string[]> {
    return this.#call(0, () => {
      if (this.#disk.files.get(path) === undefined) throw systemError('ENOENT', path);
      const within = `${path}/`;
      return [...this.#disk.files.keys()]
        .filter((name) => name.startsWith(within) && !name.includes('/', within.length))
        .map((name) => name.slice(within.length));
    });
  }

  makeFolder(path: string, { recursive }: { recursive: boolean }): Promise<void> {
    return this.#call(0, () => {
      const { files } = this.#disk;
      const folder = () => ({ bytes: undefined, modifiedAtMs: this.#disk.nowMs });
      if (recursive) {
        for (let at = path; at !== '/' && !files.has(at); at = dirname(at)) files.set(at, folder());
        return;
      }
      if (files.has(path)) throw systemError('EEXIST', path);
      this.#checkFolder(path);
      files.set(path, folder());
    });
  }

  modifiedAtMs(path: string): Promise<number> {
    return this.#call(0, () => {
      const file = this.#disk.files.get(path);
      if (file === undefined) throw systemError('ENOENT', path);
      return WALL_START_MS + file.modifiedAtMs;
    });
  }

  usage(): Promise<FileSystemUsage> {
    return this.#call(0, () => {
      const { sizeBytes, foreignBytes } = this.#disk.quality;
      const free = Math.max(0, sizeBytes - foreignBytes - this.#disk.usedBytes);
      return {
        bsize: FS_BLOCK_BYTES,
        blocks: Math.floor(sizeBytes / FS_BLOCK_BYTES),
        bavail: Math.floor(free / FS_BLOCK_BYTES),
        files: FS_FILES,
        ffree: FS_FILES - this.#disk.files.size,
      };
    });
  }

  #checkFolder(path: string): void {
    if (this.#disk.files.get(dirname(path)) === undefined) throw systemError('ENOENT', path);
  }

  #fileOf(fd: number): SimFile {
    const file = this.#open.get(fd);
    if (file === undefined) throw systemError('EBADF', String(fd));
    return file;
  }

  #bytesOf(fd: number): Uint8Array {
    return this.#fileOf(fd).bytes as Uint8Array;
  }

  /** One call: it takes its time, and may fail or never return. */
  #call<T>(sizeBytes: number, work: () => T): Promise<T> {
    const { latencyMs, bytesPerMs, errorRate, hangRate } = this.#disk.quality;
    return new Promise((resolve, reject) => {
      const luck = this.#random.fraction();
      if (luck < hangRate) {
        this.#disk.hang(() => this.#time.reach(() => reject(systemError('EIO', 'it hung'))));
        return;
      }
      this.#time.after(latencyMs + sizeBytes / bytesPerMs, () => {
        try {
          if (luck < hangRate + errorRate) throw systemError('EIO', 'the disk fails');
          resolve(work());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
