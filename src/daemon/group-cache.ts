import type { BlockServer } from '../mesh/block-server.ts';
import type { MeshLoader } from '../mesh/mesh-loader.ts';
import { Drain } from '../mesh/warm/drain.ts';
import { BlockKeeper } from '../mesh/warm/block-keeper.ts';
import { GroupCache, type WarmGroup } from '../mesh/warm/group-cache.ts';
import { GroupFiller } from '../mesh/warm/group-filler.ts';
import { WarmMetrics } from '../mesh/warm/warm-metrics.ts';
import { WarmService } from '../mesh/warm/warm-service.ts';
import type { MeshPeerHost } from '../peer/mesh-peer-host.ts';
import { ByteBudget } from '../runtime/byte-budget.ts';
import type { BlockPath } from './block-path.ts';
import type { LocalCache } from './cache.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { MountConfig } from './mount-config.ts';
import type { ShutdownStack } from './shutdown-stack.ts';

/** Bytes that warming up may have on their way in this node, at most. */
const WARM_BYTES_MAX = 128 * 2 ** 20;
/** Of the buffer; readers and the queue of the disk keep the rest. */
const WARM_BUFFER_SHARE = 0.4;

/** Bytes of new blocks that may wait for their owners, at most. */
const FILL_BYTES_MAX = 256 * 2 ** 20;
/** Of the memory tier: what waits must still be there when its owner comes for it. */
const FILL_MEMORY_SHARE = 0.25;

/** What this node does with the caches of its group. */
export interface GroupCaches {
  readonly cache: GroupCache;
  /** Undefined outside a cache group. */
  readonly drain: Drain | undefined;
}

/** Makes the group's caches as one, and lets the other members ask this node's. */
export function createGroupCache(
  parts: {
    loader: MeshLoader;
    cache: LocalCache;
    server: BlockServer;
    group: (WarmGroup & { readonly host: Pick<MeshPeerHost, 'handleWarm'> }) | undefined;
    bufferBytes: number;
    replicas: number;
  },
  context: DaemonContext,
  shutdown: ShutdownStack,
): GroupCaches {
  const { loader, cache, server, group, bufferBytes, replicas } = parts;
  const { clock, logger } = context;
  const { memory, disk } = cache;
  const metrics = new WarmMetrics(context.metrics);
  const budget = new ByteBudget(Math.min(WARM_BYTES_MAX, bufferBytes * WARM_BUFFER_SHARE));
  const keeper = new BlockKeeper({ loader, memory, disk, budget, clock, metrics });
  const service = new WarmService({ keeper, memory, disk, clock, metrics, logger });
  shutdown.push('warm-up', () => service.stop());
  group?.host.handleWarm(service);
  const caches = new GroupCache({ ...context, server, service, group, metrics });
  if (group === undefined) return { cache: caches, drain: undefined };
  const handOver: GroupCache['handOver'] = (options) => caches.handOver(options);
  const { ring } = group;
  const drain = new Drain({ ring, memory, disk, replicas, handOver, clock, metrics, logger });
  shutdown.push('drain', () => drain.end());
  return { cache: caches, drain };
}

/**
 * Makes what gives new blocks to their owners (`--fill-group-cache`).
 *
 * @returns undefined when that is not wanted
 */
export function createGroupFiller(
  parts: {
    caches: GroupCaches;
    path: Pick<BlockPath, 'server' | 'replicator'>;
    group: WarmGroup | undefined;
  },
  config: Pick<MountConfig, 'cache' | 'group' | 'staging'>,
  context: Pick<DaemonContext, 'metrics'>,
  shutdown: ShutdownStack,
): GroupFiller | undefined {
  const { caches, path, group } = parts;
  if (group === undefined || !config.group.fill) return undefined;
  const { server, replicator } = path;
  // What is staged stays at hand, whatever memory does.
  const { writeback } = config.staging;
  const memoryBytes = config.cache.memoryBytes * FILL_MEMORY_SHARE;
  const filler = new GroupFiller({
    ...{ ring: group.ring, replicator, metrics: context.metrics },
    handOver: (options) => caches.cache.handOver(options),
    isHere: (id) => server.holds([id])[0] !== undefined,
    bytesMax: writeback ? FILL_BYTES_MAX : Math.min(FILL_BYTES_MAX, memoryBytes),
  });
  shutdown.push('group filler', () => filler.stop());
  return filler;
}
