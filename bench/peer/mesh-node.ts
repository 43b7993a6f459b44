import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import type { NodeId } from '../../src/block/node-id.ts';
import { BlockRoute } from '../../src/mesh/block-route.ts';
import { BlockServer } from '../../src/mesh/block-server.ts';
import { GroupRing } from '../../src/mesh/group-ring.ts';
import { LoadMetrics } from '../../src/mesh/load-metrics.ts';
import { HotBlocks } from '../../src/mesh/hot-blocks.ts';
import { LocalBlocks } from '../../src/mesh/local-blocks.ts';
import { MeshLoader } from '../../src/mesh/mesh-loader.ts';
import type { OriginBlocks } from '../../src/mesh/origin-source.ts';
import { SharedBlocks } from '../../src/mesh/shared-blocks.ts';
import type { GroupView } from '../../src/peer/block-exchange.ts';
import { ServeThreads } from '../../src/mesh/threads/serve-threads.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { freshIdentity } from '../../src/peer/identity.ts';
import { libp2pPeerHost, type MeshPeerHost } from '../../src/peer/mesh-peer-host.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { sleep } from '../../src/runtime/deadline.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import type { Metrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import { BlockIndex } from '../../src/store/block-index.ts';
import { placeOf } from '../../src/runtime/system/shared-memory.ts';
import { memorySlotCount, MemoryTierArena, slabBytesFor } from '../../src/store/memory-tier.ts';
import { SumTable } from '../../src/store/sum-table.ts';

/** A node without mount and metadata: memory tier, load path and peer host, as the daemon joins them. */
export interface MeshNode {
  readonly host: MeshPeerHost;
  readonly loader: MeshLoader;
  readonly memory: MemoryTierArena;
  stop(): Promise<void>;
}

const VOLUME_ID = '00000000-0000-4000-8000-000000000000';
/** What the nodes prove to each other, and encrypt with. */
export const BENCH_KEY = deriveGroupKey(Buffer.from('bench'), VOLUME_ID);

/** What is counted is not read here. */
const nothing = { add: () => undefined, set: () => undefined, observe: () => undefined };
const UNCOUNTED: Metrics = {
  counter: () => nothing,
  gauge: () => nothing,
  histogram: () => nothing,
};

/**
 * What is measured are peers: the origin, which is asked beside a peer that is slow on a busy machine,
 * takes long and has no real bytes. The reader tells how often it was needed.
 */
const ORIGIN_MS = 100;
const FAR_ORIGIN: OriginBlocks = {
  rangeable: true,
  fill: (_key, _range, _into, { signal }) => sleep(systemClock, ORIGIN_MS, signal),
};

/**
 * Starts a node on loopback.
 *
 * @param options - `cacheBytes`: 0 keeps nothing, so that each read asks the owner again; `owner`:
 *   owns all blocks; undefined is this node itself
 */
export async function startMeshNode(options: {
  readonly blockBytes: number;
  readonly cacheBytes: number;
  readonly owner: NodeId | undefined;
  /** `--encrypt`. */
  readonly encrypted: boolean;
  /** Threads that serve peers; 0: the main thread. */
  readonly threads: number;
}): Promise<MeshNode> {
  const context = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const metrics = UNCOUNTED;
  const libc = loadLibc();
  const memory = memoryOf(options);
  const slots = { firstSlot: 0, slotCount: memorySlotCount(memory) };
  const leases = LeaseTable.create(slots.slotCount);
  const index = BlockIndex.create(slots.slotCount);
  const tier = new MemoryTierArena({
    ...{ ...context, metrics, libc, memory, leases, eviction: '2-random' },
    ...{ slots, index },
  });
  const sums = SumTable.create(slots);
  const place = { leases: leases.shared, index: index.shared, sums: sums.shared, slots };
  const threads = {
    ...{ ...context, metrics, count: options.threads, memory: tier.memory },
    tiers: { ...place, memory: placeOf(tier.memory), files: undefined },
  };
  const host = libp2pPeerHost(await freshIdentity(), {
    ...{ ...context, metrics, network: systemNetwork(), host: '127.0.0.1' },
    name: { group: 'bench', volumeId: VOLUME_ID },
    key: BENCH_KEY,
    encrypted: options.encrypted,
    listener: options.threads === 0 ? undefined : (parts) => new ServeThreads(threads, parts),
  });
  const loads = new LoadMetrics(metrics);
  const ring = new GroupRing(host.nodeId, fixedMembership(options.owner ?? host.nodeId), {
    clock: systemClock,
  });
  const { client, health } = host;
  const group = { ring, client, health, reportFailure: () => undefined };
  const tiers = { memory: tier, disk: undefined };
  const parts = { ...context, metrics: loads };
  const route = new BlockRoute({ ...parts, origin: FAR_ORIGIN, group, replicas: 1 });
  const loader = new MeshLoader({
    ...{ ...parts, route, memory: tier, rangeable: true },
    local: new LocalBlocks({ ...parts, ...tiers, leases }),
    keepInMemory: options.cacheBytes > 0,
    prefetchWorkers: 0,
  });
  const shared = new SharedBlocks({ index, leases, sums, memory: tier.memory });
  host.handle(
    new BlockServer({ loader, route, tiers, shared, hot: new HotBlocks(context), metrics: loads }),
  );
  await host.start();
  const stop = async () => {
    await host.stop();
    await loader.stop();
    tier.close();
  };
  return { host, loader, memory: tier, stop };
}

/** Puts blocks of pseudo-random bytes into a node's memory tier. */
export function fillMemory(node: MeshNode, keys: readonly BlockKey[]): void {
  for (const key of keys) {
    const room = node.memory.reserve(key.sizeBytes);
    if (room === undefined) throw new Error('the memory tier is too small for the bench');
    room.bytes.set(systemRandom.bytes(key.sizeBytes));
    room.commit(blockIdOf(key), { keep: true }).release();
  }
}

function memoryOf({ blockBytes, cacheBytes }: { blockBytes: number; cacheBytes: number }) {
  const slabBytes = slabBytesFor(blockBytes);
  return { cacheBytes, bufferBytes: 128 * 1024 * 1024, slabBytes };
}

function fixedMembership(owner: NodeId) {
  const view: GroupView = { epoch: 1, members: [{ nodeId: owner, addresses: [], weight: 1 }] };
  return {
    current: () => view,
    subscribe: () => () => undefined,
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}
