import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Asked, HeldRange } from '../peer/block-exchange.ts';
import type { HotGate } from './hot-gate.ts';
import type { LoadMetrics } from './load-metrics.ts';
import type { SharedBlocks } from './shared-blocks.ts';

/** What serving from memory works with; each thread has its own, but for the blocks. */
export interface HeldServerParts {
  readonly shared: SharedBlocks;
  readonly gate: HotGate;
  readonly metrics: LoadMetrics;
}

/** Serves peers what is in memory, from where it lies, and refers them when many want the same. */
export class HeldServer {
  readonly #parts: HeldServerParts;

  constructor(parts: HeldServerParts) {
    this.#parts = parts;
  }

  /**
   * @returns undefined when the block is not in memory, or the peer has to wait
   * @throws ReferralError when many ask for the block
   */
  hold(key: BlockKey, range: ByteRange, asked: Asked): HeldRange | undefined {
    const { shared, metrics } = this.#parts;
    const held = shared.hold(key, range);
    if (held === undefined) return undefined;
    const leave = this.#admit(key, range, asked, held);
    if (leave === undefined) return undefined;
    metrics.event('served');
    metrics.read('memory', range.length);
    const release = () => {
      held.release();
      leave(true);
    };
    return { ...held, release };
  }

  /** Lets go of `held` when the peer is not to be served now. */
  #admit(key: BlockKey, range: ByteRange, asked: Asked, held: HeldRange) {
    let leave: ((isDone: boolean) => void) | undefined;
    try {
      const isWhole = range.length === key.sizeBytes;
      leave = this.#parts.gate.admitNow(blockIdOf(key), { ...asked, isWhole });
    } finally {
      if (leave === undefined) held.release();
    }
    return leave;
  }
}
