import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import {
  type Asked,
  type BlockHandler,
  type HeldIn,
  type HeldRange,
  PeerError,
} from '../peer/block-exchange.ts';
import type { DiskTier, MemoryTier } from '../store/tier.ts';
import type { BlockRoute } from './block-route.ts';
import { HeldServer } from './held-server.ts';
import type { HotBlocks } from './hot-blocks.ts';
import { HotGate } from './hot-gate.ts';
import type { LoadMetrics } from './load-metrics.ts';
import type { BlockBytes } from './loader.ts';
import type { MeshLoader } from './mesh-loader.ts';
import type { SharedBlocks } from './shared-blocks.ts';

/** A peer gets a block in pieces of this size, so that its first bytes need not wait for the last. */
const PIECE_BYTES = 256 * 1024;
/** Says that the block still has to be got, so that the asker knows that we are at work. */
const WORKING = new Uint8Array(0);

/** What serving works with. */
export interface BlockServerParts {
  readonly loader: MeshLoader;
  readonly route: BlockRoute;
  readonly tiers: { readonly memory: MemoryTier; readonly disk: DiskTier | undefined };
  /** The memory tier's blocks, to be sent from where they lie; undefined: all through the loader. */
  readonly shared?: SharedBlocks | undefined;
  readonly hot: HotBlocks;
  readonly metrics: LoadMetrics;
}

/**
 * Answers peers from this node's tiers, and from further away as far as they allow. What many want
 * at once is served by those who have just got it.
 */
export class BlockServer implements BlockHandler {
  readonly #parts: BlockServerParts;
  readonly #gate: HotGate;
  readonly #held: HeldServer | undefined;

  constructor(parts: BlockServerParts) {
    this.#parts = parts;
    const { shared, metrics } = parts;
    this.#gate = new HotGate(parts);
    if (shared !== undefined) this.#held = new HeldServer({ shared, gate: this.#gate, metrics });
  }

  async *serve(
    key: BlockKey,
    range: ByteRange,
    signal: AbortSignal,
    asked: Asked,
  ): AsyncIterable<Uint8Array> {
    const { metrics, loader } = this.#parts;
    const id = blockIdOf(key);
    const isWhole = range.length === key.sizeBytes;
    const leave = await this.#gate.admit(id, { ...asked, isWhole }, signal);
    const end = range.offset + range.length;
    let at = range.offset;
    try {
      if (asked.mode !== 'held' && !loader.isAtHand(key)) yield WORKING;
      metrics.event('served');
      for (; at < end; at += PIECE_BYTES) {
        const piece = { offset: at, length: Math.min(PIECE_BYTES, end - at) };
        const part = await this.#part(key, piece, { asked, signal, range });
        try {
          yield part.bytes;
        } finally {
          part.release();
        }
      }
    } finally {
      leave(isWhole && at >= end);
    }
  }

  hold(key: BlockKey, range: ByteRange, asked: Asked): HeldRange | undefined {
    return this.#held?.hold(key, range, asked);
  }

  holds(ids: readonly BlockId[]): HeldIn[] {
    const { tiers, route } = this.#parts;
    return ids.map((id) => {
      if (tiers.memory.has(id)) return 'memory';
      return tiers.disk?.has(id) === true || route.isStaged(id) ? 'disk' : undefined;
    });
  }

  async #part(
    key: BlockKey,
    piece: ByteRange,
    request: { asked: Asked; signal: AbortSignal; range: ByteRange },
  ): Promise<BlockBytes> {
    const { loader, route } = this.#parts;
    const { asked, signal, range } = request;
    if (asked.mode !== 'held') {
      // A fellow holder that asks for a little reminds us that we are to have all of it.
      const whole = range.length > key.sizeBytes / 4 || route.isFellow(key, asked.peer);
      return loader.load(key, piece, { whole, asker: asked.mode, signal });
    }
    const part = await loader.held(key, piece, signal);
    if (part !== undefined) return part;
    throw new PeerError('absent', `block ${blockIdOf(key)} is not here`);
  }
}
