import type { BlockId, BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { BlockHandler, HeldIn } from '../peer/block-exchange.ts';
import type { DiskTier, MemoryTier } from '../store/tier.ts';
import type { LoadMetrics } from './load-metrics.ts';
import type { MeshLoader } from './mesh-loader.ts';

/** A peer gets a block in pieces of this size, so that its first bytes need not wait for the last. */
const PIECE_BYTES = 256 * 1024;

/**
 * Answers peers from this node's tiers, and from the origin for what it does not have. Never asks
 * another peer on behalf of one.
 */
export class BlockServer implements BlockHandler {
  readonly #loader: MeshLoader;
  readonly #tiers: { memory: MemoryTier; disk: DiskTier | undefined };
  readonly #metrics: LoadMetrics;

  constructor(
    loader: MeshLoader,
    tiers: { memory: MemoryTier; disk: DiskTier | undefined },
    metrics: LoadMetrics,
  ) {
    this.#loader = loader;
    this.#tiers = tiers;
    this.#metrics = metrics;
  }

  async *serve(key: BlockKey, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    this.#metrics.event('served');
    const end = range.offset + range.length;
    const whole = range.length > key.sizeBytes / 4;
    for (let offset = range.offset; offset < end; offset += PIECE_BYTES) {
      const piece = { offset, length: Math.min(PIECE_BYTES, end - offset) };
      const part = await this.#loader.load(key, piece, { whole, forward: false, signal });
      try {
        yield part.bytes;
      } finally {
        part.release();
      }
    }
  }

  holds(ids: readonly BlockId[]): HeldIn[] {
    const { memory, disk } = this.#tiers;
    return ids.map((id) => {
      if (memory.has(id)) return 'memory';
      return disk?.has(id) === true ? 'disk' : undefined;
    });
  }
}
