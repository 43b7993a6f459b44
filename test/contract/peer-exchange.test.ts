import { makePair } from '../peer/test-hosts.ts';
import { peerExchangeContract } from './peer-exchange-contract.ts';

peerExchangeContract('libp2p and bulk sockets on loopback', async (handler, limits) => {
  const pair = await makePair(handler, { server: { limits: limits ?? {} } });
  return {
    client: pair.client.host.client,
    server: pair.server.host.nodeId,
    stop: pair.stop,
  };
});
