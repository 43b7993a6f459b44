import { freePorts } from './free-port.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { waitUntil } from './wait-until.ts';

/** A Redis cluster of primaries without replicas. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[];
  /** All nodes as a volume's metadata URL: `redis://127.0.0.1:A,127.0.0.1:B,127.0.0.1:C/0`. */
  readonly url: string;
  stop(): Promise<void>;
}

const SLOTS = 16_384;

/**
 * Starts a cluster of three nodes that share the slots, and waits until all of them call it well.
 */
export async function startRedisCluster(): Promise<RedisCluster> {
  const ports = await freePorts(6);
  const nodes = await Promise.all([0, 1, 2].map((index) => startNode(ports, index)));
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    await join(nodes, ports);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, url: `redis://${nodes.map((n) => `127.0.0.1:${n.port}`).join(',')}/0`, stop };
}

function startNode(ports: readonly number[], index: number): Promise<RedisServer> {
  return startRedis({
    port: ports[index] ?? 0,
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'],
      // Usually the port plus 10000, which can lie above 65535.
      ...['--cluster-port', String(ports[index + 3])],
    ],
  });
}

async function join(nodes: readonly RedisServer[], ports: readonly number[]): Promise<void> {
  const [first, ...others] = nodes;
  for (const [index, node] of nodes.entries()) {
    const from = Math.floor((SLOTS * index) / nodes.length);
    const to = Math.floor((SLOTS * (index + 1)) / nodes.length) - 1;
    await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const [index, node] of others.entries()) {
    const bus = String(ports[index + 4]);
    await first?.command('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus);
  }
  await waitUntil('the Redis cluster to be complete', async () => {
    const infos = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'INFO')));
    return infos.every(
      (info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3'),
    );
  });
}
