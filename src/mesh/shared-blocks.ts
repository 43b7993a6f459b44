import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { pieceSums, SUM_PIECE_BYTES } from '../block/piece-sums.ts';
import type { HeldRange } from '../peer/block-exchange.ts';
import { LeaseKind, type LeaseTable } from '../runtime/lease-table.ts';
import type { SharedMemory } from '../runtime/system/shared-memory.ts';
import { type BlockIndex, FoundLease } from '../store/block-index.ts';
import type { SumTable } from '../store/sum-table.ts';

/** What any thread needs to use blocks of the memory tier by itself. */
export interface SharedBlocksParts {
  /** Of the memory tier. */
  readonly index: BlockIndex;
  readonly leases: LeaseTable;
  readonly sums: SumTable;
  /** The tier's arena. */
  readonly memory: Pick<SharedMemory, 'bytes' | 'base'>;
}

/** Blocks in the memory tier, found and held without the tier: on any thread, in one step. */
export class SharedBlocks {
  readonly #parts: SharedBlocksParts;
  readonly #found = new FoundLease();

  constructor(parts: SharedBlocksParts) {
    this.#parts = parts;
  }

  /** @returns the bytes, pinned, with their checksums; undefined when the block is not in memory */
  hold(key: BlockKey, range: ByteRange): HeldRange | undefined {
    const { index, leases, memory } = this.#parts;
    const found = this.#found;
    if (!index.find(key, found)) return undefined;
    const { slot, generation } = found;
    if (!leases.pin(slot, generation)) return undefined;
    const isWhole = leases.lengthBytes(slot) === key.sizeBytes;
    if (!isWhole || leases.kind(slot) !== LeaseKind.memory) {
      leases.unpin(slot);
      return undefined;
    }
    const place = leases.location(slot) - memory.base;
    const block = memory.bytes.subarray(place, place + key.sizeBytes);
    const sums = this.#sumsOf({ block, place, lease: { slot, generation } }, range);
    const bytes = block.subarray(range.offset, range.offset + range.length);
    return { bytes, sums, release: () => leases.unpin(slot) };
  }

  #sumsOf(
    held: { block: Uint8Array; place: number; lease: { slot: number; generation: number } },
    range: ByteRange,
  ): Uint32Array {
    const { block, place, lease } = held;
    const end = range.offset + range.length;
    const isAligned =
      range.offset % SUM_PIECE_BYTES === 0 &&
      (end % SUM_PIECE_BYTES === 0 || end === block.byteLength);
    if (!isAligned) return pieceSums(block.subarray(range.offset, end));
    const sizeBytes = block.byteLength;
    const all = this.#parts.sums.sumsOf({ lease, place, sizeBytes }, () => pieceSums(block));
    return all.subarray(range.offset / SUM_PIECE_BYTES, Math.ceil(end / SUM_PIECE_BYTES));
  }
}
