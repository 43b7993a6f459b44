import { dirname, join, relative, sep } from 'node:path';
import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { ByteRange } from '../../block/byte-range.ts';
import {
  decodeTrailer,
  encodeTrailer,
  firstBadUnit,
  trailerBytes,
  unitChecksums,
  unitStart,
} from '../../block/checksum.ts';
import { CHECKSUM_UNIT_BYTES } from '../../block/geometry.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { RecentMap } from '../../runtime/recent-map.ts';
import { CacheError, systemCode } from '../cache-error.ts';
import { folderModeOf } from '../cache-layout.ts';
import { type DiskIo, PIECE_BYTES } from '../disk-io.ts';
import { FolderSync } from './folder-sync.ts';
import { FOOTER_HEAD_BYTES, isFooterHead, stageEndOf, StagePaths } from './stage-layout.ts';

/** Folders that are known to be there, and to be kept. */
const FOLDERS_KNOWN_MAX = 1024;
/** How long what is known of the free space is good. */
const SPACE_KNOWN_MS = 1_000;
/** Blocks stop to be staged when less than this part of `--free-space-ratio` is free. As JuiceFS has it. */
const STAGE_SHARE = 0.5;
/** The volume's, the cache directory and the one that has it. */
const FOLDERS_ABOVE = 3;
/** A disk that has failed gets no new blocks for this long. */
const REST_MS = 10_000;

/** What a {@link StageDisk} is made of. */
export interface StageDiskOptions {
  /** One of `--cache-dir`. */
  readonly directory: string;
  readonly volume: { readonly uuid: string; readonly hashPrefix: boolean };
  /** `--free-space-ratio`: share of the file system that the cache leaves free, 0 … 1. */
  readonly freeSpaceRatio: number;
  readonly fileMode: number;
  readonly io: DiskIo;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How much room a disk has: enough, less than the cache should leave, or none for staged blocks. */
export type StageRoom = 'enough' | 'low' | 'none';

/** The blocks of one cache directory that wait to be uploaded. */
export class StageDisk {
  readonly paths: StagePaths;
  readonly #options: StageDiskOptions;
  readonly #syncs: FolderSync;
  readonly #folders = new RecentMap<string, true>(FOLDERS_KNOWN_MAX);
  #room: StageRoom = 'none';
  #roomKnownMs = Number.NEGATIVE_INFINITY;
  #restsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: StageDiskOptions) {
    this.#options = options;
    this.paths = new StagePaths(options.directory, options.volume);
    this.#syncs = new FolderSync(options.io);
  }

  get io(): DiskIo {
    return this.#options.io;
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** Whether it failed lately: new blocks go elsewhere. */
  get isResting(): boolean {
    return this.#options.clock.nowMs() < this.#restsUntilMs;
  }

  /** It failed: for a while it gets no new blocks. */
  rest(): void {
    this.#restsUntilMs = this.#options.clock.nowMs() + REST_MS;
  }

  /** Makes the folder, whose disk must be there. @throws the system's error */
  async prepare(): Promise<void> {
    const { base } = this.paths;
    await this.io.makeFolder(base, { recursive: true, mode: folderModeOf(this.#options.fileMode) });
    // The folders above may be new, too; one that is not ours to open was there before.
    for (let folder = base, up = 0; up < FOLDERS_ABOVE; up += 1) {
      folder = dirname(folder);
      await this.#syncs.sync(folder).catch((error: unknown) => {
        if (systemCode(error) !== 'EACCES') throw error;
      });
    }
  }

  /** Whether the folder is there: it goes with its disk. @throws the system's error */
  async isThere(): Promise<boolean> {
    try {
      await this.io.modifiedAtMs(this.paths.base);
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** @throws the system's error */
  async room(): Promise<StageRoom> {
    const { clock, freeSpaceRatio, io } = this.#options;
    if (clock.nowMs() - this.#roomKnownMs < SPACE_KNOWN_MS) return this.#room;
    const { blocks, bavail, files, ffree } = await io.fileSystem(this.paths.base);
    // Some file systems have no fixed number of inodes and say 0.
    const free = Math.min(bavail / Math.max(1, blocks), files > 0 ? ffree / files : 1);
    if (free < freeSpaceRatio * STAGE_SHARE) this.#room = 'none';
    else this.#room = free < freeSpaceRatio ? 'low' : 'enough';
    this.#roomKnownMs = clock.nowMs();
    return this.#room;
  }

  /**
   * Writes a block. When this resolves, the disk keeps it.
   *
   * @param signal - when aborted, nothing stays; it does not end a call of the disk that is under way
   * @throws the system's error; the signal's reason when aborted
   */
  async write(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void> {
    const path = this.paths.file(key);
    const temp = this.paths.temp(key);
    const fd = await this.#create(temp);
    let isIn = false;
    try {
      try {
        await this.io.writeAll(fd, plain, 0);
        // Nobody waits any more: these bytes may have become another block's meanwhile.
        signal.throwIfAborted();
        await this.io.writeAll(fd, encodeTrailer(unitChecksums(plain)), plain.byteLength);
        await this.io.sync(fd);
      } finally {
        await this.io.close(fd);
      }
      signal.throwIfAborted();
      isIn = true;
      await this.io.rename(temp, path);
      await this.#syncs.sync(dirname(path));
      signal.throwIfAborted();
    } catch (error) {
      await this.#unlink(temp);
      if (isIn) await this.#unlink(path);
      throw error;
    }
  }

  /**
   * Reads a range of a block, checked.
   *
   * @param into - as long as the range
   * @throws CacheError (`damaged`) when the file has another length, or other bytes; the system's
   *   error (ENOENT: it is not there); the signal's reason when aborted
   */
  async read(
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const fd = await this.io.openFile(this.paths.file(key), { flags: 'r', signal });
    try {
      const sums = await this.#sumsOf(key, fd, signal);
      const end = range.offset + range.length;
      const stop = Math.min(key.sizeBytes, unitStart(end - 1) + CHECKSUM_UNIT_BYTES);
      for (let at = unitStart(range.offset); at < stop; at += PIECE_BYTES) {
        const piece = { fd, offset: at, length: Math.min(PIECE_BYTES, stop - at) };
        await this.io.readPiece(piece, signal, (bytes) => {
          this.#check(key, bytes, piece, sums);
          const from = Math.max(at, range.offset);
          into.set(
            bytes.subarray(from - at, Math.min(at + piece.length, end) - at),
            from - range.offset,
          );
        });
      }
    } finally {
      await this.io.close(fd);
    }
  }

  /** @throws the system's error; that it is not there is none */
  async remove(key: BlockKey): Promise<void> {
    await this.io.unlink(this.paths.file(key)).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
  }

  async #sumsOf(key: BlockKey, fd: number, signal: AbortSignal): Promise<Uint32Array | undefined> {
    const fileBytes = await this.io.sizeOf(fd, signal);
    const end = stageEndOf(key, fileBytes);
    if (end === undefined) {
      throw this.#damage(key, `has ${fileBytes} bytes, which is no block of ${key.sizeBytes}`);
    }
    if (end.footerBytes > 0) {
      const head = { fd, offset: fileBytes - end.footerBytes, length: FOOTER_HEAD_BYTES };
      const isRight = (bytes: Uint8Array) => isFooterHead(bytes, end.footerBytes);
      if (!(await this.io.readPiece(head, signal, isRight))) {
        throw this.#damage(key, `has ${end.footerBytes} bytes at its end that are no footer`);
      }
    }
    if (!end.hasChecksums) return undefined;
    const trailer = { fd, offset: key.sizeBytes, length: trailerBytes(key.sizeBytes) };
    return await this.io.readPiece(trailer, signal, (bytes) => decodeTrailer(bytes.slice()));
  }

  /** @throws CacheError when bytes that begin with a unit are missing or wrong */
  #check(key: BlockKey, bytes: Uint8Array, piece: ByteRange, sums: Uint32Array | undefined): void {
    if (bytes.byteLength !== piece.length) throw this.#damage(key, 'ends too early');
    if (sums === undefined) return;
    const first = piece.offset / CHECKSUM_UNIT_BYTES;
    const units = Math.ceil(piece.length / CHECKSUM_UNIT_BYTES);
    const bad = firstBadUnit(bytes, sums.subarray(first, first + units));
    if (bad !== undefined)
      throw this.#damage(key, `differs from its checksum in unit ${first + bad}`);
  }

  async #create(temp: string): Promise<number> {
    const folder = dirname(temp);
    const open = () => this.io.openFile(temp, { flags: 'wx', mode: this.#options.fileMode });
    if (this.#folders.get(folder) === undefined) await this.#makeFolders(folder);
    return await open().catch(async (error: unknown) => {
      // Stock clients remove empty folders when they start.
      if (systemCode(error) !== 'ENOENT') throw error;
      await this.#makeFolders(folder);
      return await open();
    });
  }

  /** Makes what is missing below the base, which itself is never made again: its disk may be unmounted. */
  async #makeFolders(folder: string): Promise<void> {
    const { base } = this.paths;
    let made = base;
    for (const name of relative(base, folder).split(sep)) {
      const parent = made;
      made = join(parent, name);
      await this.io
        .makeFolder(made, { recursive: false, mode: folderModeOf(this.#options.fileMode) })
        .catch((error: unknown) => {
          if (systemCode(error) !== 'EEXIST') throw error;
        });
      // Also one that was there: whoever made it may not have come to this.
      await this.#syncs.sync(parent);
    }
    this.#folders.set(folder, true);
  }

  async #unlink(path: string): Promise<void> {
    await this.io.unlink(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return;
      this.#options.logger.warn(
        { path, error: String(error) },
        'a staged block could not be removed',
      );
    });
  }

  #damage(key: BlockKey, how: string): CacheError {
    const path = this.paths.file(key);
    return new CacheError('damaged', `staged block ${blockIdOf(key)} (${path}) ${how}`);
  }
}
