import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import { type Asked, ReferralError } from '../peer/block-exchange.ts';
import type { HotBlocks } from './hot-blocks.ts';
import type { LoadMetrics } from './load-metrics.ts';

/** What a {@link HotGate} works with. */
export interface HotGateParts {
  readonly hot: HotBlocks;
  readonly metrics: LoadMetrics;
}

/** Lets peers in that are to be served, and refers the others. */
export class HotGate {
  readonly #parts: HotGateParts;

  constructor(parts: HotGateParts) {
    this.#parts = parts;
  }

  /**
   * @returns what ends it, to be called once: whether the peer has all of the block now
   * @throws ReferralError; the signal's reason
   */
  async admit(
    id: BlockId,
    { peer, mode, isWhole }: Asked & { isWhole: boolean },
    signal: AbortSignal,
  ): Promise<(isDone: boolean) => void> {
    const { hot } = this.#parts;
    if (!isWhole || mode === 'final') return hot.serve(id, peer);
    const { instead, leave } = await hot.asked(id, peer, signal);
    return leave ?? this.#refer(id, instead);
  }

  /** Like {@link admit}; undefined when the peer has to wait. @throws ReferralError */
  admitNow(
    id: BlockId,
    { peer, mode, isWhole }: Asked & { isWhole: boolean },
  ): ((isDone: boolean) => void) | undefined {
    if (!isWhole || mode === 'final') return () => undefined;
    const admission = this.#parts.hot.askedNow(id, peer);
    if (admission === undefined) return undefined;
    return admission.leave ?? this.#refer(id, admission.instead);
  }

  #refer(id: BlockId, holders: readonly NodeId[]): never {
    this.#parts.metrics.event('referred');
    throw new ReferralError(`many ask for block ${id}`, holders);
  }
}
