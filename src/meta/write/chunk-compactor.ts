import { type CompactionPlan, planCompaction } from '../../block/compaction-plan.ts';
import type { Ino } from '../../posix/ino.ts';
import type { MetaReader } from '../engine.ts';
import type { SliceSize } from './meta-tx.ts';
import type { WriteRunner } from './write-runner.ts';

/** Writes the content of a new slice. */
export interface SliceMaker {
  /**
   * Reads the plan's pieces and stores them, holes as zeros, as all blocks of a new slice of the
   * plan's size; directly in the object store, never staged.
   *
   * @returns the slice's id, which is a new one
   */
  makeSlice(plan: CompactionPlan, signal: AbortSignal): Promise<bigint>;
}

/** What a {@link ChunkCompactor} works with. */
export interface ChunkCompactorParts {
  readonly engine: MetaReader;
  readonly runner: WriteRunner;
  readonly maker: SliceMaker;
  /** Removes the objects of slices that nothing refers to. */
  readonly removeSlices: (slices: readonly SliceSize[], signal: AbortSignal) => Promise<void>;
}

/** Makes one slice of the many that small writes leave in a chunk. */
export class ChunkCompactor {
  readonly #parts: ChunkCompactorParts;

  constructor(parts: ChunkCompactorParts) {
    this.#parts = parts;
  }

  /**
   * Compacts a chunk once. Writers and other compactors may be at work: who comes too late changes
   * nothing, and removes what it made.
   *
   * @returns whether the chunk is shorter now
   * @throws MetaError; what the maker throws
   */
  async compact(ino: Ino, index: number, signal: AbortSignal): Promise<boolean> {
    const { engine, runner, maker, removeSlices } = this.#parts;
    const plan = planCompaction(await engine.readChunk(ino, index, signal));
    if (plan === undefined) return false;
    const id = await maker.makeSlice(plan, signal);
    const { read, skipped, pos, size } = plan;
    const args = { ino, index, read, skipped, by: { pos, id, size } };
    const { isDone, unused } = await runner.run('compactChunk', args, { turns: [ino], signal });
    await removeSlices(isDone ? unused : [{ id, size }], signal);
    return isDone;
  }
}
