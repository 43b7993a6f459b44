import type { BlockHandler } from '../../src/peer/block-exchange.ts';
import type { PeerHostOptions } from '../../src/peer/mesh-peer-host.ts';
import { makeThreadTiers } from '../mesh/threads/thread-tiers.ts';
import { makePair } from '../peer/test-hosts.ts';
import type { ExchangeLimits } from './exchange-pair.ts';
import { peerAbortsContract } from './peer-aborts-contract.ts';
import { peerExchangeContract } from './peer-exchange-contract.ts';
import { peerManyContract } from './peer-many-contract.ts';
import { peerRefusalsContract } from './peer-refusals-contract.ts';

async function pairOf(handler: BlockHandler, server: Partial<PeerHostOptions>) {
  const { encrypted } = server;
  const pair = await makePair(handler, { server, client: { encrypted } });
  return {
    client: pair.client.host.client,
    server: pair.server.host.nodeId,
    stop: pair.stop,
  };
}

/** Threads that have no block themselves: everything goes through the main thread's handler. */
function threaded(): Partial<PeerHostOptions> {
  return { listener: makeThreadTiers({ cacheBytes: 0, slabBytes: 1024 * 1024 }).listener(1) };
}

const SERVERS: readonly (readonly [string, () => Partial<PeerHostOptions>])[] = [
  ['libp2p and bulk sockets on loopback', () => ({})],
  ['a server of the older version', () => ({ versions: { min: 2, max: 2 } })],
  ['encrypted connections', () => ({ encrypted: true })],
  ['a server on a thread of its own', threaded],
  ['encrypted connections to a thread', () => ({ ...threaded(), encrypted: true })],
];

for (const [name, server] of SERVERS) {
  const pairWith = (handler: BlockHandler, limits: ExchangeLimits = {}) =>
    pairOf(handler, { ...server(), limits });
  peerExchangeContract(name, pairWith);
  peerAbortsContract(name, pairWith);
  peerRefusalsContract(name, pairWith);
  peerManyContract(name, pairWith);
}
