import { createBlockPath } from '../../src/daemon/block-path.ts';
import { createCache, type LocalCache } from '../../src/daemon/cache.ts';
import type { DaemonContext } from '../../src/daemon/daemon-context.ts';
import { createGroupCache } from '../../src/daemon/group-cache.ts';
import { ShutdownStack } from '../../src/daemon/shutdown-stack.ts';
import type { OwnerRing } from '../../src/mesh/block-route.ts';
import { GroupRing } from '../../src/mesh/group-ring.ts';
import type { MeshLoader } from '../../src/mesh/mesh-loader.ts';
import type { GroupCache } from '../../src/mesh/warm/group-cache.ts';
import type { Member, Membership } from '../../src/peer/block-exchange.ts';
import { MeshPeerHost } from '../../src/peer/mesh-peer-host.ts';
import type { BlockLoader } from '../../src/mesh/loader.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { guardStore } from '../../src/store/create-store.ts';
import { SimFiles } from '../disk/sim-files.ts';
import { SimControl } from '../network/sim-control.ts';
import { SimNetwork } from '../network/sim-network.ts';
import type { NodeTime } from '../world/node-time.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { Cluster } from './cluster.ts';
import type { NodeSettings } from './node-settings.ts';
import { countingHandler, ServedRequests } from './served-requests.ts';
import type { SimNode } from './sim-node.ts';
import { tracedLogger } from './traced-logger.ts';
import { VOLUME_UUID } from './volume-uuid.ts';

/** Blocks are at most so large; the memory tier's slabs follow from it. */
const BLOCK_BYTES_MAX = 4 * 2 ** 20;
const FILE_MODE = 0o600;
/** Cache files kept open: few, so that some are closed to open others, and the same on every machine. */
export const OPEN_FILES_MAX = 16;

/** What one daemon does without FUSE and metadata, composed as `src/daemon` composes it. */
export class NodeProcess {
  readonly time: NodeTime;
  readonly metrics: MemoryMetrics = memoryMetrics();
  readonly cache: LocalCache;
  readonly files: SimFiles;
  readonly host: MeshPeerHost;
  /** Who owns what, as the load path sees it. */
  readonly ring: OwnerRing;
  readonly served = new ServedRequests();
  readonly membership: Membership;
  readonly loader: BlockLoader;
  readonly group: GroupCache;
  readonly #cluster: Cluster;
  readonly #node: SimNode;
  readonly #ring: GroupRing;
  readonly #members: ReturnType<MeshPeerHost['membership']>;
  readonly #mesh: MeshLoader;
  readonly #shutdown: ShutdownStack;
  readonly #gone = Promise.withResolvers<void>();
  #isReady = false;

  constructor(cluster: Cluster, node: SimNode, own: { time: NodeTime; random: SeededRandom }) {
    const { time, random } = own;
    const { planting } = cluster;
    this.#cluster = cluster;
    this.#node = node;
    this.time = time;
    this.files = new SimFiles(node.disk, time, random.fork('files'));
    const logger = tracedLogger(cluster.world.trace, node.number);
    const context: DaemonContext = {
      env: {},
      clock: planting.clock?.(time) ?? time,
      random,
      logger,
      metrics: this.metrics,
      libc: undefined,
      files: this.files,
      memory: cluster.memory,
      openFilesMax: OPEN_FILES_MAX,
    };
    const settings = planting.settings?.(cluster.settings) ?? cluster.settings;
    const config = configOf(settings);
    this.#shutdown = new ShutdownStack(logger);
    const volume = { uuid: VOLUME_UUID, blockBytes: BLOCK_BYTES_MAX };
    this.cache = createCache(config.cache, volume, context);
    this.host = this.#makeHost(context);
    this.#members = this.host.membership({
      discovery: { list: (signal) => this.#discover(signal) },
      intervalMs: settings.heartbeatMs,
    });
    this.membership = this.#members;
    const { replicas } = config.group;
    this.#ring = new GroupRing(node.id, this.#members, { clock: context.clock, replicas });
    this.ring = planting.ring?.(this.#ring) ?? this.#ring;
    const peers = this.#peers();
    const origin = this.#makeOrigin(context);
    const parts = { volume: { origin }, cache: this.cache, group: peers };
    const { loader, server } = createBlockPath(parts, config, context);
    this.host.handle(countingHandler(server, this.served));
    this.#mesh = loader;
    this.loader = loader;
    const group = { ...peers, ring: this.#ring };
    const { bufferBytes } = settings;
    const warming = { loader, cache: this.cache, server, group, bufferBytes, replicas };
    this.group = createGroupCache(warming, context, this.#shutdown).cache;
  }

  /** Whether it has begun to take part. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Resolves when the process is gone. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Resolves when it takes part. */
  async start(): Promise<void> {
    await this.cache.disk?.start();
    await this.host.start();
    this.#cluster.sessions.set(this.#node.id, this.#self());
    await this.#members.start();
    this.#isReady = true;
    this.#cluster.world.trace.note('ready', this.#node.number);
  }

  /** Ends in order, and in the order in which the daemon does. */
  async stop(): Promise<void> {
    this.#isReady = false;
    await this.#members.stop();
    this.#ring.close();
    this.#cluster.sessions.delete(this.#node.id);
    await this.host.stop();
    await this.#shutdown.unwind();
    await this.#mesh.stop();
    await this.cache.disk?.stop();
  }

  /** Its process is gone. */
  onGone(): void {
    this.#isReady = false;
    this.#gone.resolve();
  }

  setWeight(weight: number): void {
    this.#cluster.sessions.set(this.#node.id, this.#self());
    this.host.setWeight(weight);
  }

  #self(): Member {
    return { nodeId: this.#node.id, addresses: this.host.addresses, weight: this.#node.weight };
  }

  async #discover(signal: AbortSignal): Promise<readonly Member[]> {
    const { sessions, world } = this.#cluster;
    await new Promise<void>((resolve) => void this.time.after(1, resolve));
    if (this.#cluster.isMetaDown) {
      world.trace.note('metadata is down', this.#node.number);
      throw new Error('the metadata engine does not answer');
    }
    signal.throwIfAborted();
    return [...sessions.values()];
  }

  #makeHost(context: DaemonContext): MeshPeerHost {
    const { fabric, machines, key, traffic, settings } = this.#cluster;
    const { machine, id, weight } = this.#node;
    const place = { fabric, machines, machine, process: machine.begin(this.time) };
    const control = new SimControl({ ...place, nodeId: id, traffic });
    return new MeshPeerHost(control, {
      ...context,
      name: { group: 'sim', volumeId: VOLUME_UUID },
      key,
      network: new SimNetwork(place),
      weight,
      limits: { requestsPerPeer: settings.requestsPerPeer },
    });
  }

  #peers() {
    const { planting } = this.#cluster;
    return {
      ring: this.ring,
      host: this.host,
      membership: this.membership,
      client: planting.client?.(this.host.client) ?? this.host.client,
      health: this.host.health,
      warm: this.host.warm,
      reportFailure: (node: Member['nodeId']) => this.#members.reportFailure(node),
    };
  }

  #makeOrigin(context: DaemonContext): BlockOrigin {
    const { origin, planting, settings } = this.#cluster;
    const { getTimeoutMs } = settings;
    const right = origin.storeFor(this.#node.number, this.time);
    const store = guardStore(planting.store?.(right) ?? right, context, { getTimeoutMs });
    return new BlockOrigin({
      ...context,
      store,
      format: {
        naming: { volumeName: 'sim', hashPrefix: false },
        compression: 'none',
        encryption: undefined,
      },
    });
  }
}

function configOf(settings: NodeSettings) {
  const { replicas, memoryBytes, bufferBytes, diskBytes, disks } = settings;
  const { eviction, verify, prefetchWorkers } = settings;
  const dirs = Array.from({ length: diskBytes === 0 ? 0 : disks }, (_, at) => `/cache/${at}`);
  return {
    group: { replicas },
    cache: {
      dirs,
      diskBytes,
      memoryBytes,
      bufferBytes,
      freeSpaceRatio: 0.1,
      eviction,
      verify,
      fileMode: FILE_MODE,
      prefetchWorkers,
    },
  };
}
