import type { BlockKey } from '../block/block-key.ts';
import { BlockRoute, type PeerGroup } from '../mesh/block-route.ts';
import { BlockServer } from '../mesh/block-server.ts';
import type { BlockWriterParts } from '../mesh/block-writer.ts';
import { HotBlocks } from '../mesh/hot-blocks.ts';
import { LoadMetrics } from '../mesh/load-metrics.ts';
import { LocalBlocks } from '../mesh/local-blocks.ts';
import { MeshLoader } from '../mesh/mesh-loader.ts';
import type { StagedBlocks } from '../mesh/stage-source.ts';
import { Replicator } from '../mesh/replicator.ts';
import { SharedBlocks } from '../mesh/shared-blocks.ts';
import { StrayHolders } from '../mesh/stray-holders.ts';
import type { Membership } from '../peer/block-exchange.ts';
import type { NodeId } from '../block/node-id.ts';
import type { LocalCache } from './cache.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { CacheConfig, GroupConfig } from './mount-config.ts';
import type { OpenVolume } from './volume.ts';

/** What brings blocks to this node's readers, and to its peers. */
export interface BlockPath {
  readonly loader: MeshLoader;
  readonly server: BlockServer;
  /** Undefined outside a cache group. */
  readonly replicator: Replicator | undefined;
  /** Where new blocks are kept. */
  readonly tiers: Pick<BlockWriterParts, 'memory' | 'local' | 'keepInMemory' | 'keepsOnDisk'>;
}

/** Composes the load path; the loader is not started. */
export function createBlockPath(
  parts: {
    volume: Pick<OpenVolume, 'origin'>;
    cache: LocalCache;
    group: (PeerGroup & { readonly membership?: Membership }) | undefined;
    /** New blocks that wait on this node's disks. */
    staged?: StagedBlocks | undefined;
  },
  config: {
    readonly cache: Pick<CacheConfig, 'memoryBytes' | 'prefetchWorkers'>;
    readonly group: Pick<GroupConfig, 'replicas'>;
  },
  context: DaemonContext,
): BlockPath {
  const { volume, cache, group, staged } = parts;
  const { replicas } = config.group;
  const metrics = new LoadMetrics(context.metrics);
  const shared = { ...context, metrics };
  const membership = group?.membership;
  const others = () => membersBeside(group?.ring.self, membership);
  const strays =
    membership && group && new StrayHolders({ ...shared, client: group.client, others });
  const { origin } = volume;
  const route = new BlockRoute({ ...shared, origin, staged, strays, group, replicas });
  const followers = (key: BlockKey) => route.followers(key);
  const replicator = group && new Replicator({ ...shared, client: group.client, followers });
  const keepInMemory = config.cache.memoryBytes > 0;
  const local = new LocalBlocks({ ...shared, ...cache });
  const tiers = { memory: cache.memory, local, keepInMemory };
  const loader = new MeshLoader({
    ...shared,
    ...tiers,
    route,
    replicator,
    rangeable: volume.origin.rangeable,
    prefetchWorkers: config.cache.prefetchWorkers,
  });
  const server = new BlockServer({
    loader,
    route,
    tiers: cache,
    shared: new SharedBlocks({ ...cache, memory: cache.arena }),
    hot: new HotBlocks(context),
    metrics,
  });
  const keepsOnDisk = (key: BlockKey) => route.plan(key, 'reader').keepOnDisk;
  return { loader, server, replicator, tiers: { ...tiers, keepsOnDisk } };
}

function membersBeside(self: NodeId | undefined, membership: Membership | undefined): NodeId[] {
  const members = membership?.current().members ?? [];
  return members.map(({ nodeId }) => nodeId).filter((node) => node !== self);
}
