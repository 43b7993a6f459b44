import type { BlockHandler } from '../../src/peer/block-exchange.ts';
import type { PeerHostOptions } from '../../src/peer/mesh-peer-host.ts';
import { makeThreadTiers } from '../mesh/threads/thread-tiers.ts';
import { makePair } from '../peer/test-hosts.ts';
import { type ExchangeLimits, peerExchangeContract } from './peer-exchange-contract.ts';
import { peerManyContract } from './peer-many-contract.ts';

async function pairOf(handler: BlockHandler, server: Partial<PeerHostOptions>) {
  const { encrypted } = server;
  const pair = await makePair(handler, { server, client: { encrypted } });
  return {
    client: pair.client.host.client,
    server: pair.server.host.nodeId,
    stop: pair.stop,
  };
}

const SERVERS: readonly (readonly [string, Partial<PeerHostOptions>])[] = [
  ['libp2p and bulk sockets on loopback', {}],
  ['a server of the older version', { versions: { min: 2, max: 2 } }],
  ['encrypted connections', { encrypted: true }],
];

/** Threads that have no block themselves: everything goes through the main thread's handler. */
function threaded(): Partial<PeerHostOptions> {
  return { listener: makeThreadTiers({ cacheBytes: 0, slabBytes: 1024 * 1024 }).listener(1) };
}

for (const [name, server] of SERVERS) {
  const pairWith = (handler: BlockHandler, limits: ExchangeLimits = {}) =>
    pairOf(handler, { ...server, limits });
  peerExchangeContract(name, pairWith);
  peerManyContract(name, pairWith);
}

const pairOnThread = (handler: BlockHandler, limits: ExchangeLimits = {}) =>
  pairOf(handler, { ...threaded(), limits });
peerExchangeContract('a server on a thread of its own', pairOnThread);
peerManyContract('a server on a thread of its own', pairOnThread);

const pairOnThreadByTls = (handler: BlockHandler, limits: ExchangeLimits = {}) =>
  pairOf(handler, { ...threaded(), encrypted: true, limits });
peerExchangeContract('encrypted connections to a thread', pairOnThreadByTls);
