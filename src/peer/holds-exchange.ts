import type { BlockId } from '../block/block-key.ts';
import { type HeldIn, PeerError } from './block-exchange.ts';
import type { BlockReply } from './block-message.ts';
import type { Exchange } from './bulk-connection.ts';
import type { WireRecord } from './checked-msgpack.ts';

/** Asks in which tier a peer holds blocks. */
export class HoldsExchange implements Exchange {
  readonly request: WireRecord;
  /** The answer, in the order asked, once the exchange is complete. */
  tiers: readonly HeldIn[] = [];
  readonly #count: number;

  /** @param ids - at most `HOLDS_IDS_MAX` */
  constructor(ids: readonly BlockId[]) {
    this.request = { type: 'holds', ids };
    this.#count = ids.length;
  }

  roomFor(reply: BlockReply): Uint8Array {
    throw new PeerError('protocol', `the peer sent a ${reply.type} with a payload`);
  }

  onReply(reply: BlockReply): boolean {
    if (reply.type === 'working') return false;
    if (reply.type !== 'tiers' || reply.tiers.length !== this.#count) {
      throw new PeerError('protocol', `the peer sent a ${reply.type} that answers nothing`);
    }
    this.tiers = reply.tiers;
    return true;
  }
}
