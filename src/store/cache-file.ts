import assert from 'node:assert/strict';
import { type BlockKey, parseBlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { firstBadUnit, unitCount, unitStart } from '../block/checksum.ts';
import { CHECKSUM_UNIT_BYTES } from '../block/geometry.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import { CacheError } from './cache-error.ts';
import type { UnitCheck } from './checksum-mode.ts';
import type { DiskEntry } from './disk-entry.ts';
import type { DiskIo } from './disk-io.ts';
import { PIECE_BYTES } from './disk-io.ts';
import { PolicyEntry } from './eviction/policy.ts';

/** A block's file while it is open. Its place in the queue of open files is that of the entry. */
export class CacheFile extends PolicyEntry {
  readonly entry: DiskEntry;
  readonly fd: number;
  /** What the entry's id says. */
  readonly key: BlockKey | undefined;
  /** Lets worker threads read the file; undefined until it may be read unchecked. */
  lease: LeaseRef | undefined = undefined;
  /** Holders, and reads that are under way: the descriptor stays open while there are any. */
  users = 0;
  /** What to do when no worker thread reads the file any more, once it was unpublished. */
  retiring: (() => void)[] | undefined = undefined;
  /** To be closed as soon as nobody uses it. */
  isDoomed = false;
  /** The check of the whole file that is under way. */
  verifying: Promise<void> | undefined = undefined;
  readonly #io: DiskIo;
  readonly #sums: Uint32Array | undefined;
  readonly #isChecked: Uint8Array;

  readonly #checksAlways: boolean;

  /**
   * @param open - `sums`: undefined when nothing is checked; `checksAlways`: units are compared at
   *   each read of them, not once
   */
  constructor(
    entry: DiskEntry,
    open: { fd: number; sums: Uint32Array | undefined; io: DiskIo; checksAlways: boolean },
  ) {
    super(1, 0);
    this.#checksAlways = open.checksAlways;
    this.entry = entry;
    this.key = parseBlockId(entry.id);
    this.fd = open.fd;
    this.#io = open.io;
    this.#sums = open.sums;
    this.#isChecked = new Uint8Array(unitCount(entry.blockBytes));
  }

  /**
   * Reads a range.
   *
   * @throws CacheError (`damaged`) when a byte is missing or wrong; the system's error otherwise
   */
  async read(
    range: ByteRange,
    into: Uint8Array,
    options: { check: UnitCheck; signal: AbortSignal },
  ): Promise<void> {
    assert(range.offset >= 0 && range.offset + range.length <= this.entry.blockBytes);
    assert(into.byteLength === range.length);
    const end = range.offset + range.length;
    const whole = options.check === 'touched';
    let at = whole ? unitStart(range.offset) : range.offset;
    const stop = whole
      ? Math.min(unitStart(end - 1) + CHECKSUM_UNIT_BYTES, this.entry.blockBytes)
      : end;
    while (at < stop) {
      // Pieces end at borders of units, so that later ones begin there.
      const next = Math.min(unitStart(at) + PIECE_BYTES, stop);
      const offset = at;
      await this.#piece({ offset, length: next - offset }, options.signal, (bytes) => {
        if (options.check !== 'none') this.#check(bytes, offset);
        const from = Math.max(offset, range.offset);
        const part = bytes.subarray(from - offset, Math.min(next, end) - offset);
        into.set(part, from - range.offset);
      });
      at = next;
    }
  }

  /**
   * Reads a range of a file of one piece, and compares all of the file with its length and its
   * checksums in the same step.
   *
   * @throws as {@link read}
   */
  async readAll(range: ByteRange, into: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#all(signal, (bytes) => {
      into.set(bytes.subarray(range.offset, range.offset + range.length));
    });
  }

  /** Compares every unit that was not compared yet. @throws as {@link read} */
  async verify(signal: AbortSignal | undefined, anew: boolean): Promise<void> {
    if (anew) this.#isChecked.fill(0);
    if (isOnePiece(this.entry)) {
      await this.#all(signal, () => undefined);
      return;
    }
    for (let offset = 0; offset < this.entry.blockBytes; offset += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, this.entry.blockBytes - offset);
      if (this.#areChecked(offset, length)) continue;
      await this.#piece({ offset, length }, signal, (bytes) => this.#check(bytes, offset));
    }
  }

  /** @throws as {@link read}, also when the file is longer than its block */
  async #all(signal: AbortSignal | undefined, use: (bytes: Uint8Array) => void): Promise<void> {
    const { blockBytes } = this.entry;
    const all = { fd: this.fd, offset: 0, length: blockBytes + 1 };
    await this.#io.readPiece(all, signal, (bytes) => {
      if (bytes.byteLength !== blockBytes) throw this.#damage(`does not have ${blockBytes} bytes`);
      this.#check(bytes, 0);
      use(bytes);
    });
  }

  async #piece(
    range: ByteRange,
    signal: AbortSignal | undefined,
    use: (bytes: Uint8Array) => void,
  ): Promise<void> {
    await this.#io.readPiece({ fd: this.fd, ...range }, signal, (bytes) => {
      if (bytes.byteLength !== range.length) throw this.#damage('ends too early');
      use(bytes);
    });
  }

  /** Compares the whole units in `bytes`, which lie at `offset`. */
  #check(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.byteLength;
    for (let unit = Math.ceil(offset / CHECKSUM_UNIT_BYTES); ; unit += 1) {
      const start = unit * CHECKSUM_UNIT_BYTES;
      const stop = Math.min(start + CHECKSUM_UNIT_BYTES, this.entry.blockBytes);
      if (start >= end || stop > end) return;
      if (this.#isChecked[unit] === 1 && !this.#checksAlways) continue;
      const sum = this.#sums?.subarray(unit, unit + 1) ?? [];
      const isBad = firstBadUnit(bytes.subarray(start - offset, stop - offset), sum) !== undefined;
      if (isBad) throw this.#damage(`differs from its checksum in unit ${unit}`);
      this.#isChecked[unit] = 1;
    }
  }

  #areChecked(offset: number, length: number): boolean {
    const first = offset / CHECKSUM_UNIT_BYTES;
    for (let unit = first; unit < first + unitCount(length); unit += 1) {
      if (this.#isChecked[unit] !== 1) return false;
    }
    return true;
  }

  #damage(how: string): CacheError {
    return new CacheError('damaged', `cache file ${this.entry.path} ${how}`);
  }
}

/** Whether a block is read and checked in one step; there is room to see that its file goes on. */
export function isOnePiece({ blockBytes }: DiskEntry): boolean {
  return blockBytes < PIECE_BYTES;
}
