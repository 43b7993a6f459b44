import { afterEach } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import type { NodeId } from '../../src/block/node-id.ts';
import type { BlockHandler, PeerClient } from '../../src/peer/block-exchange.ts';

/** A client and the node that answers it with the handler given. */
export interface ExchangePair {
  readonly client: PeerClient;
  readonly server: NodeId;
  stop(): Promise<void>;
}

/** How much the server of a pair serves at a time. */
export interface ExchangeLimits {
  readonly requestsPerPeer?: number;
  readonly bytes?: number;
}

/** Starts a pair whose server answers with a handler. */
export type MakePair = (handler: BlockHandler, limits?: ExchangeLimits) => Promise<ExchangePair>;

/** The block that the contracts of exchanges ask for. */
export const key: BlockKey = { sliceId: 12_345_678_901_234n, index: 3, sizeBytes: 1_300_000 };
/** All of its bytes. */
export const whole = { offset: 0, length: key.sizeBytes };
/** Of what nobody gives up. */
export const never = new AbortController().signal;

/** Inside of a `describe`: {@link MakePair} for one pair per test, which ends with it. */
export function pairsOfTests(makePair: MakePair): MakePair {
  let stop: (() => Promise<void>) | undefined;
  afterEach(async () => {
    await stop?.();
    stop = undefined;
  });
  return async (handler, limits) => {
    const pair = await makePair(handler, limits);
    stop = () => pair.stop();
    return pair;
  };
}
