import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { BulkServer } from '../../peer/bulk-server.ts';
import { peerMetrics } from '../../peer/peer-metrics.ts';
import { Refusals } from '../../peer/refusals.ts';
import { ServeLimits } from '../../peer/serve-limits.ts';
import { systemNetwork } from '../../peer/system-network.ts';
import { systemClock } from '../../runtime/clock.ts';
import { LeaseTable } from '../../runtime/lease-table.ts';
import { systemRandom } from '../../runtime/random.ts';
import { RelayedMetrics } from '../../runtime/relayed-metrics.ts';
import { loadLibc } from '../../runtime/system/libc.ts';
import { attachSharedMemory } from '../../runtime/system/shared-memory.ts';
import { BlockIndex } from '../../store/block-index.ts';
import { SumTable } from '../../store/sum-table.ts';
import { HotBlocks } from '../hot-blocks.ts';
import { HotGate } from '../hot-gate.ts';
import { LoadMetrics } from '../load-metrics.ts';
import { SharedBlocks } from '../shared-blocks.ts';
import { SharedFiles } from '../shared-files.ts';
import { MainCalls } from './main-calls.ts';
import { relayedLogger } from './relayed-logger.ts';
import type { ServeMainMessage, ServeThreadData, ServeThreadMessage } from './serve-messages.ts';
import { ThreadBlocks } from './thread-blocks.ts';

/*
 * Entry of a thread that takes bulk connections and serves them. It listens on the same port as the
 * other serving threads; the kernel spreads connections over them.
 */
const { tiers, credentials, limits, timeouts, at } = workerData as ServeThreadData;
assert(parentPort !== null);
const port = parentPort;
const post = (message: ServeThreadMessage) => port.postMessage(message);
const counted = new RelayedMetrics(systemClock, (batch) => post({ type: 'counted', batch }));
const logger = relayedLogger(post);
const memory = attachSharedMemory(loadLibc(), tiers.memory);
const leases = LeaseTable.attach(tiers.leases);
const main = new MainCalls(post, memory);
const metrics = new LoadMetrics(counted);
const handler = new ThreadBlocks({
  main,
  files: attachFiles(),
  shared: new SharedBlocks({
    ...{ leases, memory },
    index: BlockIndex.attach(tiers.index),
    sums: SumTable.attach(tiers.sums, tiers.slots),
  }),
  gate: new HotGate({ hot: new HotBlocks({ clock: systemClock, random: systemRandom }), metrics }),
  metrics,
});
const countedPeers = peerMetrics(counted);
const server = new BulkServer({
  ...{
    credentials,
    random: systemRandom,
    network: systemNetwork({ metrics: counted, logger }),
    shared: true,
  },
  context: {
    ...{ handler, timeouts, clock: systemClock, logger },
    limits: new ServeLimits(limits),
    refusals: new Refusals('bulk', { metrics: countedPeers, clock: systemClock, logger }),
    metrics: countedPeers,
  },
  strangersMax: limits.strangers,
});

port.on('message', (message: ServeMainMessage) => {
  if (message.type === 'stop') void stop();
  else main.onMessage(message);
});
try {
  await server.start(at);
  post({ type: 'listening', port: server.port });
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  post({ type: 'refused', message, code });
}

function attachFiles(): SharedFiles | undefined {
  if (tiers.files === undefined) return undefined;
  const index = BlockIndex.attach(tiers.files);
  return new SharedFiles({ index, leases, clock: systemClock });
}

async function stop(): Promise<void> {
  await server.stop();
  counted.flush();
  post({ type: 'stopped' });
}
