import { LRUCache } from 'lru-cache';
import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { BlockSink } from '../mesh/block-writer.ts';
import { createWriterWithUpkeep } from '../meta/create-writer.ts';
import type { ChunkCompactor } from '../meta/write/chunk-compactor.ts';
import type { StoredChunk } from '../meta/write/scans.ts';
import { SliceRemover } from '../store/slice-remover.ts';
import { SliceRewriter } from '../vfs/write/slice-rewriter.ts';
import { Lanes } from './lanes.ts';
import type { OneShot } from './one-shot.ts';
import type { OpenVolume } from './volume.ts';

/** A compaction takes the 1000 oldest records; who writes faster than that is left alone. */
const ROUNDS_MAX = 100;
/** Blocks that many small pieces may come from, one after the other. */
const BLOCKS_KEPT = 16;

/** What became of the chunks of a volume. */
export interface CompactionState {
  /** Chunks that are shorter now. */
  compacted: number;
  /** Chunks that stay as they are, because something failed. */
  failed: number;
}

/** Compacts all chunks of a volume, without a mount. */
export class VolumeCompaction {
  readonly #volume: OpenVolume;
  readonly #context: OneShot;
  readonly #onChange: (state: CompactionState) => void;
  readonly state: CompactionState = { compacted: 0, failed: 0 };
  readonly #discards = new Set<Promise<void>>();
  readonly #kept = new LRUCache<string, Promise<Uint8Array>>({ max: BLOCKS_KEPT });

  constructor(
    volume: OpenVolume,
    context: OneShot,
    onChange: (state: CompactionState) => void = () => undefined,
  ) {
    this.#volume = volume;
    this.#context = context;
    this.#onChange = onChange;
  }

  /**
   * @param lanes - chunks at once
   * @throws MetaError when the chunks cannot be listed, or the volume must not be written
   */
  async run(lanes: number): Promise<CompactionState> {
    const { meta } = this.#volume;
    const { signal } = this.#context;
    const compactor = await this.#compactor();
    try {
      await new Lanes(lanes, signal).spread(meta.scans.chunks(signal), (chunk) =>
        this.#compact(chunk, compactor),
      );
    } finally {
      await Promise.all(this.#discards);
    }
    return this.state;
  }

  async #compact({ ino, index, records }: StoredChunk, compactor: ChunkCompactor): Promise<void> {
    if (records === undefined || records.length < 2) return;
    const { signal, logger } = this.#context;
    try {
      let rounds = 0;
      while (rounds < ROUNDS_MAX && (await compactor.compact(ino, index, signal))) rounds += 1;
      if (rounds > 0) this.state.compacted += 1;
    } catch (error) {
      if (signal.aborted) throw error;
      this.state.failed += 1;
      const fields = { ino: String(ino), index, error: String(error) };
      logger.warn(fields, 'a chunk could not be compacted');
    }
    this.#onChange(this.state);
  }

  async #compactor(): Promise<ChunkCompactor> {
    const { meta, setting, upload } = this.#volume;
    const { signal, shutdown } = this.#context;
    const { blockBytes } = setting;
    const objects = new SliceRemover(upload, blockBytes);
    // Nothing is opened and no lock is held: a session has nothing to keep.
    const parts = { ...this.#context, engine: meta, objects, sid: () => undefined };
    const { writer, upkeep } = await createWriterWithUpkeep(parts, signal);
    shutdown.push('upkeep', () => upkeep.stop());
    const rewriter = new SliceRewriter({
      read: async ({ key, inBlock: { offset, length } }, use, inTime) => {
        const block = await this.#block(key, inTime);
        use(block.subarray(offset, offset + length));
      },
      ...{ blocks: this.#sink(), blockBytes },
      newSliceId: (inTime) => writer.newSliceId(inTime),
    });
    return upkeep.compactor(rewriter);
  }

  #block(key: BlockKey, signal: AbortSignal): Promise<Uint8Array> {
    const id = blockIdOf(key);
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    const bytes = new Uint8Array(key.sizeBytes);
    const whole = { offset: 0, length: key.sizeBytes };
    const coming = this.#volume.origin.fill(key, whole, bytes, { signal }).then(() => bytes);
    this.#kept.set(id, coming);
    coming.catch(() => this.#kept.delete(id));
    return coming;
  }

  #sink(): BlockSink {
    const { upload } = this.#volume;
    const { signal, logger } = this.#context;
    const discard = async (key: BlockKey) => {
      try {
        await upload.remove(key, signal);
      } catch (error) {
        logger.warn({ block: blockIdOf(key), error: String(error) }, 'an unused object is left');
      }
    };
    return {
      put: (key, plain, inTime) => upload.put(key, plain, inTime),
      discard: (keys) => {
        for (const key of keys) {
          const one: Promise<void> = discard(key).finally(() => this.#discards.delete(one));
          this.#discards.add(one);
        }
      },
    };
  }
}
