import assert from 'node:assert/strict';
import type { ByteRange } from '../block/byte-range.ts';
import { abortReason } from '../runtime/deadline.ts';
import { CacheError, isOwnShortage, systemCode } from './cache-error.ts';
import { type CacheFile, isOnePiece } from './cache-file.ts';
import { type ChecksumMode, unitCheckOf } from './checksum-mode.ts';
import type { DiskBlocks } from './disk-blocks.ts';
import type { DiskEntry } from './disk-entry.ts';
import { PIECE_BYTES } from './disk-io.ts';
import { DiskVerifier } from './disk-verifier.ts';
import type { OpenFiles } from './open-files.ts';
import type { TierMetrics } from './tier-metrics.ts';
import type { HeldFile, OpenPurpose } from './tier.ts';

/** What a {@link DiskReader} works with. */
export interface DiskReaderParts {
  readonly files: OpenFiles;
  readonly blocks: DiskBlocks;
  readonly checksums: ChecksumMode;
  readonly metrics: TierMetrics;
  /** Ends checks in the background. */
  readonly signal: AbortSignal;
}

/** Opens cache files for readers, checked as the mode of checksums wants it; bad ones are dropped. */
export class DiskReader {
  readonly #parts: DiskReaderParts;
  readonly #verifier: DiskVerifier;

  constructor(parts: DiskReaderParts) {
    this.#parts = parts;
    this.#verifier = new DiskVerifier({
      ...parts,
      onBad: (file, error) => this.#failed(file.entry, error),
    });
  }

  /**
   * @param purpose - see {@link DiskTier.open}
   * @returns undefined when the block cannot be had from here
   * @throws the signal's reason when aborted
   */
  async open(
    entry: DiskEntry,
    signal: AbortSignal,
    purpose: OpenPurpose,
  ): Promise<HeldFile | undefined> {
    const { files } = this.#parts;
    const done = entry.disk.io.pace.begin();
    entry.visited = true;
    let file: CacheFile;
    try {
      file = await files.acquire(entry, signal);
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.#failed(entry, error);
      return undefined;
    }
    try {
      if (purpose !== 'read' || !this.#isReadAsWhole(entry)) await this.#admit(file, signal);
    } catch (error) {
      files.release(file);
      if (signal.aborted) throw abortReason(signal);
      this.#failed(entry, error);
      return undefined;
    }
    done();
    if (!entry.isGone) return this.#hold(file);
    files.release(file);
    return undefined;
  }

  /**
   * The block's file, every byte of which was compared with its checksums, as far as the mode has any.
   *
   * @returns end its use with `files.release`; undefined when the block cannot be had from here
   * @throws the signal's reason when aborted
   */
  async acquireChecked(entry: DiskEntry, signal: AbortSignal): Promise<CacheFile | undefined> {
    const { files, checksums } = this.#parts;
    let file: CacheFile | undefined;
    try {
      file = await files.acquire(entry, signal);
      if (checksums === 'none' || entry.isVerified) return file;
      await file.verify(signal, false);
      entry.isVerified = true;
      files.publish(file);
      return file;
    } catch (error) {
      if (file !== undefined) files.release(file);
      if (signal.aborted) throw abortReason(signal);
      this.#failed(entry, error);
      return undefined;
    }
  }

  /** Compares a block with its checksums once more. One that is bad is dropped. Does not reject. */
  async recheck(entry: DiskEntry): Promise<void> {
    const { files, signal } = this.#parts;
    try {
      const file = await files.acquire(entry, signal);
      try {
        await file.verify(signal, true);
      } finally {
        files.release(file);
      }
    } catch (error) {
      if (!signal.aborted) this.#failed(entry, error);
    }
  }

  /** What the mode wants done before a file is handed out. */
  async #admit(file: CacheFile, signal: AbortSignal): Promise<void> {
    const { files, checksums } = this.#parts;
    if (checksums === 'full') {
      await file.verify(signal, true);
    } else if (checksums === 'none' || (checksums === 'once' && file.entry.isVerified)) {
      files.publish(file);
    } else if (checksums === 'once') {
      if (this.#verifier.isBusy) return;
      const checking = this.#verifier.check(file);
      // A small block is checked in one step: the first reader may as well have the lease.
      if (file.entry.blockBytes <= PIECE_BYTES) await checking;
    }
  }

  /** Whether the first read of a block also checks all of it. */
  #isReadAsWhole(entry: DiskEntry): boolean {
    return this.#parts.checksums === 'once' && !entry.isVerified && isOnePiece(entry);
  }

  #hold(file: CacheFile): HeldFile {
    const { files } = this.#parts;
    let held = true;
    return {
      get lease() {
        return file.lease;
      },
      sizeBytes: file.entry.blockBytes,
      standing: file.entry,
      read: async (range, into, signal) => {
        assert(held, 'a released cache file is read');
        await this.#read(file, { range, into, signal });
      },
      release: () => {
        assert(held, 'a cache file is released once');
        held = false;
        files.release(file);
      },
    };
  }

  async #read(
    file: CacheFile,
    to: { range: ByteRange; into: Uint8Array; signal: AbortSignal },
  ): Promise<void> {
    const { files, checksums, metrics } = this.#parts;
    const { range, into, signal } = to;
    const isAll = this.#isReadAsWhole(file.entry);
    const check = unitCheckOf(checksums, file.entry.isVerified);
    const done = file.entry.disk.io.pace.begin();
    file.users += 1;
    try {
      if (isAll) {
        await file.readAll(range, into, signal);
        file.entry.isVerified = true;
        files.publish(file);
      } else await file.read(range, into, { check, signal });
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.#failed(file.entry, error);
      if (error instanceof CacheError) throw error;
      const message = `cache file ${file.entry.path} cannot be read`;
      throw new CacheError('unreadable', message, { cause: error });
    } finally {
      files.release(file);
    }
    done();
    metrics.hitBytes.add(range.length);
  }

  /** A block could not be opened or read: it is dropped, and its disk blamed where it is to blame. */
  #failed(entry: DiskEntry, error: unknown): void {
    if (error instanceof CacheError) {
      this.#parts.blocks.drop(entry, 'damaged');
      return;
    }
    // Another daemon on the same directory may have evicted it.
    if (systemCode(error) !== 'ENOENT') entry.disk.failed(error, 'read');
    if (isOwnShortage(error)) return;
    this.#parts.blocks.drop(entry, 'lost');
  }
}
