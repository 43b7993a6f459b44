import type { Cluster } from '../node/cluster.ts';
import { OPEN_FILES_MAX } from '../node/node-process.ts';
import type { SimNode } from '../node/sim-node.ts';
import type { Violation } from './violation.ts';

/** What is on its way when the last read is over may take so long to arrive. */
const QUIET_MS = 15_000;
const SLAB_BYTES = 4 * 2 ** 20;

/** When nobody reads any more, nothing is held, served or on its way. */
export async function checkEnd(cluster: Cluster): Promise<Violation[]> {
  await cluster.world.sleep(QUIET_MS);
  const violations: Violation[] = [];
  for (const node of cluster.up) violations.push(...(await checkNode(cluster, node)));
  return violations;
}

async function checkNode(cluster: Cluster, node: SimNode): Promise<Violation[]> {
  const { process } = node;
  if (process === undefined) return [];
  const { metrics, cache, files } = process;
  await cache.disk?.flushed();
  const open = [...(node.machine.process?.sockets ?? [])].reduce(
    (sum, socket) => sum + socket.openBytes,
    0,
  );
  const { memoryBytes, bufferBytes } = cluster.settings;
  const slabs = Math.ceil((memoryBytes + bufferBytes) / SLAB_BYTES);
  const rooms = Array.from({ length: slabs }, () => cache.memory.reserve(SLAB_BYTES));
  const leaked = rooms.filter((room) => room === undefined).length;
  for (const room of rooms) room?.abandon();
  const found: readonly (readonly [string, number])[] = [
    ['bytes are still being served', metrics.value('remotecache_serving_bytes')],
    ['bytes were sent to peers and never read', open],
    [`slabs of ${slabs} are never given back`, leaked],
    ['files more than may be stay open', Math.max(0, files.openCount - OPEN_FILES_MAX)],
  ];
  return found
    .filter(([, value]) => value !== 0)
    .map(([what, value]) => ({
      check: 'nothing leaks',
      text: `node ${node.number}: ${value} ${what}`,
    }));
}
