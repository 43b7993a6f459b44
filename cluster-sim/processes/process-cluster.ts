import { ShutdownStack } from '../../src/daemon/shutdown-stack.ts';
import { type LogFields, silentLogger } from '../../src/runtime/logger.ts';
import { folderBucket } from '../../test/servers/buckets.ts';
import { type FileOrigin, startFileOrigin } from '../../test/servers/file-origin.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../../test/servers/synthetic-volume.ts';
import { makeTempDir } from '../../test/servers/temp.ts';
import type { NodeSettings } from '../node/node-settings.ts';
import type { VolumeShape } from '../origin/sim-volume.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import { ProcessNetwork } from './process-network.ts';
import { ProcessNode } from './process-node.ts';

const MIB = 2 ** 20;
/** ext4 needs room for itself. */
const DISK_BYTES_MIN = 48 * MIB;

/** Daemons in namespaces of their own, a Redis and an object store that all of them use. */
export class ProcessCluster {
  readonly network: ProcessNetwork;
  readonly volume: SyntheticVolume;
  readonly origin: FileOrigin;
  readonly nodes: readonly ProcessNode[];
  readonly files: readonly SyntheticFile[];
  readonly #shutdown: ShutdownStack;

  private constructor(
    parts: Pick<ProcessCluster, 'network' | 'volume' | 'origin' | 'nodes' | 'files'>,
    shutdown: ShutdownStack,
  ) {
    this.network = parts.network;
    this.volume = parts.volume;
    this.origin = parts.origin;
    this.nodes = parts.nodes;
    this.files = parts.files;
    this.#shutdown = shutdown;
  }

  /** Starts everything of a scenario. Needs root. */
  static async start(scenario: Scenario, random: SeededRandom): Promise<ProcessCluster> {
    const complain = (fields: LogFields, what: string) => console.error(what, fields);
    const shutdown = new ShutdownStack({ ...silentLogger, warn: complain });
    try {
      const network = await ProcessNetwork.open(scenario.nodes, scenario.link);
      shutdown.push('network', () => network.close());
      const bucket = await folderBucket();
      const volume = await makeSyntheticVolume({ bucket });
      shutdown.push('volume', () => volume.stop());
      const files = await volume.addFiles(fileSizes(scenario.volume, random));
      const origin = await startFileOrigin(bucket.dir, network.hostAddress);
      shutdown.push('origin', () => origin.stop());
      const nodes = await makeNodes(scenario, network, { volume, origin });
      const parts = { network, volume, origin, nodes, files };
      for (const node of nodes) shutdown.push(node.name, () => node.remove());
      const cluster = new ProcessCluster(parts, shutdown);
      await Promise.all(nodes.map((node) => node.start()));
      return cluster;
    } catch (error) {
      await shutdown.unwind();
      throw error;
    }
  }

  /** Takes everything down, whatever state it is in. */
  async stop(): Promise<void> {
    await this.#shutdown.unwind();
  }
}

function fileSizes(shape: VolumeShape, random: SeededRandom): (readonly [string, number])[] {
  return Array.from({ length: shape.blocks }, (_, index) => [
    `set/${index % 7}/${index}`,
    Math.floor(random.between(shape.bytesMin, shape.bytesMax + 1)),
  ]);
}

async function makeNodes(
  scenario: Scenario,
  network: ProcessNetwork,
  servers: { readonly volume: SyntheticVolume; readonly origin: FileOrigin },
): Promise<ProcessNode[]> {
  const metaUrl = `unix://${servers.volume.redis.socketPath}?db=0`;
  const bucket = ['--storage', 'minio', '--bucket', `${servers.origin.endpoint}/bucket`];
  const args = [...bucket, ...wordsOf(scenario.settings)];
  const nodes: ProcessNode[] = [];
  for (const [index, { prefix }] of network.nodes.entries()) {
    const dir = await makeTempDir(`sim-${index}`);
    const env = { MINIO_ACCESS_KEY: 'any', MINIO_SECRET_KEY: 'any' };
    const daemon = { metaUrl, name: `node ${index}`, dir, prefix, args, env, compiled: true };
    const diskBytes = Math.max(DISK_BYTES_MIN, 2 * scenario.settings.diskBytes);
    nodes.push(new ProcessNode({ daemon, diskBytes }));
  }
  return nodes;
}

/** The settings as the command line has them; what it does not have keeps its default. */
function wordsOf(settings: NodeSettings): string[] {
  const mib = (bytes: number) => String(Math.max(1, Math.floor(bytes / MIB)));
  return [
    ...['--cache-group', 'sim', '--replicas', String(settings.replicas)],
    ...['--memory-cache-size', mib(settings.memoryBytes), '--cache-size', mib(settings.diskBytes)],
    ...['--cache-eviction', settings.eviction, '--verify-cache-checksum', settings.verify],
    ...['--prefetch', String(settings.prefetchWorkers)],
  ];
}
