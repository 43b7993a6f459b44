import type { BlockKey } from '../../block/block-key.ts';
import type { CompactionPlan } from '../../block/compaction-plan.ts';
import { type BlockStep, planRead } from '../../block/read-plan.ts';
import { sliceBlocks } from '../../block/slice-blocks.ts';
import type { BlockSink } from '../../mesh/block-writer.ts';
import type { SliceMaker } from '../../meta/write/chunk-compactor.ts';

/** Parts of one new block that are fetched side by side. */
const READS_AT_ONCE = 16;

/** What a {@link SliceRewriter} works with. */
export interface SliceRewriterParts {
  /** Calls `use` with the bytes of a step, which are good until it returns. */
  readonly read: (
    step: BlockStep,
    use: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  readonly blocks: BlockSink;
  readonly newSliceId: (signal: AbortSignal) => Promise<bigint>;
  /** Of a full block. */
  readonly blockBytes: number;
}

/** Reads what a chunk consists of and stores it as one new slice, in the memory of one block. */
export class SliceRewriter implements SliceMaker {
  readonly #parts: SliceRewriterParts;

  constructor(parts: SliceRewriterParts) {
    this.#parts = parts;
  }

  async makeSlice(plan: CompactionPlan, signal: AbortSignal): Promise<bigint> {
    const { blocks, newSliceId, blockBytes } = this.#parts;
    const id = await newSliceId(signal);
    const tried: BlockKey[] = [];
    try {
      for (const key of sliceBlocks(id, plan.size, blockBytes)) {
        const bytes = await this.#contentOf(plan, key, signal);
        signal.throwIfAborted();
        tried.push(key);
        await blocks.put(key, bytes, signal);
      }
      return id;
    } catch (error) {
      // What was sent may have arrived although the answer has not.
      blocks.discard(tried);
      throw error;
    }
  }

  async #contentOf(plan: CompactionPlan, key: BlockKey, signal: AbortSignal): Promise<Uint8Array> {
    const { read, blockBytes } = this.#parts;
    const offset = plan.pos + key.index * blockBytes;
    const range = { offset, length: key.sizeBytes };
    const content = new Uint8Array(key.sizeBytes);
    const waiting = planRead(plan.pieces, range, blockBytes).values();
    let isLost = false;
    const readInTurn = async () => {
      for (const step of waiting) {
        if (isLost) return;
        // Holes are zeros, and so are new bytes.
        if (step.key === undefined) continue;
        try {
          await read(step, (bytes) => content.set(bytes, step.at.offset - offset), signal);
        } catch (error) {
          isLost = true;
          throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, readInTurn));
    return content;
  }
}
