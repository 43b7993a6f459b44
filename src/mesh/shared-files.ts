import { read } from 'node:fs';
import { promisify } from 'node:util';
import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { LeaseKind, type LeaseTable } from '../runtime/lease-table.ts';
import { type BlockIndex, FoundLease } from '../store/block-index.ts';

const readFile = promisify(read);

/** Bytes that are read in one step. */
const PIECE_BYTES = 256 * 1024;
/** Pieces of memory that are kept for the next read. */
const PIECES_KEPT = 16;
/** A disk that does not answer for this long is passed over. */
const DISK_TIMEOUT_MS = 5_000;

/** What any thread needs to read cache files by itself. */
export interface SharedFilesParts {
  /** Of cache files that may be read without a check. */
  readonly index: BlockIndex;
  readonly leases: LeaseTable;
  readonly clock: Clock;
}

/** Blocks in cache files that are open and were checked, read on any thread. */
export class SharedFiles {
  readonly #parts: SharedFilesParts;
  readonly #found = new FoundLease();
  readonly #pieces: Uint8Array[] = [];

  constructor(parts: SharedFilesParts) {
    this.#parts = parts;
  }

  /**
   * Yields the asked bytes in pieces that are valid until the next one is asked for. Ends early, with
   * what is missing, when the block has no open file or its disk does not answer: others have to
   * bring the rest, and find out what is wrong.
   */
  async *read(key: BlockKey, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { leases, index } = this.#parts;
    if (!index.find(key, this.#found)) return;
    const { slot, generation } = this.#found;
    if (!leases.pin(slot, generation)) return;
    // The descriptor must stay open for as long as a read may use it, given up or not.
    let reading: Promise<unknown> = Promise.resolve();
    try {
      const isFile = leases.kind(slot) === LeaseKind.file;
      if (!isFile || leases.lengthBytes(slot) !== key.sizeBytes) return;
      const fd = leases.location(slot);
      const end = range.offset + range.length;
      for (let at = range.offset; at < end; at += PIECE_BYTES) {
        const piece = this.#pieces.pop() ?? new Uint8Array(new ArrayBuffer(PIECE_BYTES));
        const length = Math.min(PIECE_BYTES, end - at);
        const started = readFile(fd, piece, 0, length, at).then(({ bytesRead }) => bytesRead);
        reading = started;
        const isRead = await this.#within(key, signal, async () => (await started) === length);
        if (!isRead) return;
        yield piece.subarray(0, length);
        if (this.#pieces.length < PIECES_KEPT) this.#pieces.push(piece);
      }
    } finally {
      const unpin = () => leases.unpin(slot);
      reading.then(unpin, unpin);
    }
  }

  /** @returns false when the disk failed or did not answer @throws the signal's reason */
  async #within(
    key: BlockKey,
    signal: AbortSignal,
    done: () => Promise<boolean>,
  ): Promise<boolean> {
    const what = `cache file of slice ${key.sliceId}`;
    try {
      const wait = { what, timeoutMs: DISK_TIMEOUT_MS, signal };
      return await withDeadline(this.#parts.clock, wait, done);
    } catch (error) {
      if (signal.aborted) throw error;
      return false;
    }
  }
}
