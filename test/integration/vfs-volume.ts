import type { Extent, ExtentSink } from '../../src/fuse/driver.ts';
import type { FuseContext } from '../../src/fuse/operations.ts';
import { BlockRoute } from '../../src/mesh/block-route.ts';
import { LoadMetrics } from '../../src/mesh/load-metrics.ts';
import { LocalBlocks } from '../../src/mesh/local-blocks.ts';
import { MeshLoader } from '../../src/mesh/mesh-loader.ts';
import { createMetaEngine } from '../../src/meta/create-engine.ts';
import type { MetaEngine } from '../../src/meta/engine.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { createObjectStore } from '../../src/store/create-store.ts';
import { loadDataKey } from '../../src/store/data-key.ts';
import { memorySlotCount, MemoryTierArena, slabBytesFor } from '../../src/store/memory-tier.ts';
import { DEFAULT_VFS_OPTIONS, type VfsOptions } from '../../src/vfs/options.ts';
import { Vfs } from '../../src/vfs/vfs.ts';
import { FakeCache } from '../vfs/fake-cache.ts';

const MIB = 1024 * 1024;

/** What is looked at: a volume's URL and where its objects are. */
export interface VolumeSource {
  readonly metaUrl: string;
  readonly bucket: string;
  readonly passphrase?: string | undefined;
}

/** A volume as a file system, without a mount and without peers. */
export interface OpenedVolume {
  readonly vfs: Vfs;
  readonly meta: MetaEngine;
  readonly metrics: MemoryMetrics;
  /** What worker threads would know, by file id and unit. */
  readonly extents: ReadonlyMap<string, Extent>;
  /** The bytes that a worker thread would find for an extent; undefined when its lease has ended. */
  extentBytes(extent: Extent): Uint8Array | undefined;
  close(): Promise<void>;
}

/** A request of root. */
export function rootContext(): FuseContext {
  return { uid: 0, gid: 0, pid: 1, signal: new AbortController().signal };
}

/** Composes all layers below the mount. */
export async function openVfs(
  source: VolumeSource,
  options: Partial<VfsOptions> = {},
): Promise<OpenedVolume> {
  const metrics = memoryMetrics();
  const surroundings = {
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics,
    env: {},
  };
  const { signal } = new AbortController();
  const meta = createMetaEngine(source.metaUrl, surroundings);
  await meta.start();
  const setting = await meta.loadSetting(signal);
  const location = { ...setting, bucket: source.bucket };
  const store = await createObjectStore(location, surroundings, {}, signal);
  const pem = setting.encryptKeyPem;
  const dataKey = pem === undefined ? undefined : loadDataKey(pem, source.passphrase);
  const origin = new BlockOrigin({
    ...surroundings,
    store,
    format: {
      naming: { volumeName: setting.name, hashPrefix: setting.hashPrefix },
      compression: setting.compression,
      encryption: dataKey && { dataKey, algo: setting.encryptAlgo },
    },
  });
  const memory = {
    cacheBytes: 64 * MIB,
    bufferBytes: 32 * MIB,
    slabBytes: slabBytesFor(setting.blockBytes),
  };
  const slots = { firstSlot: 0, slotCount: memorySlotCount(memory) };
  const leases = LeaseTable.create(slots.slotCount);
  const libc = loadLibc();
  const tier = new MemoryTierArena({
    ...surroundings,
    memory,
    leases,
    slots,
    libc,
    eviction: 'lru',
  });
  const loads = new LoadMetrics(metrics);
  const loader = new MeshLoader({
    memory: tier,
    local: new LocalBlocks({
      ...surroundings,
      memory: tier,
      disk: undefined,
      leases,
      metrics: loads,
    }),
    route: new BlockRoute({
      ...surroundings,
      origin,
      group: undefined,
      replicas: 1,
      metrics: loads,
    }),
    rangeable: origin.rangeable,
    keepInMemory: true,
    prefetchWorkers: 1,
    clock: systemClock,
    metrics: loads,
    logger: silentLogger,
  });
  const vfs = new Vfs({
    ...surroundings,
    meta,
    loader,
    cache: new FakeCache(),
    internals: { config: '{}', stats: async () => '' },
    setting,
    options: { ...DEFAULT_VFS_OPTIONS, ...options },
  });
  const extents = new Map<string, Extent>();
  const nameOf = (fileId: number, at: number) => `${fileId}/${Math.floor(at / setting.blockBytes)}`;
  const sink: ExtentSink = {
    publish: (extent) => void extents.set(nameOf(extent.fileId, extent.fileOffset), extent),
    retract: (fileId, at) => void extents.delete(nameOf(fileId, at)),
  };
  vfs.attachExtents(sink);
  return {
    vfs,
    meta,
    metrics,
    extents,
    extentBytes: ({ lease, leaseOffset, lengthBytes }) => {
      if (!leases.pin(lease.slot, lease.generation)) return undefined;
      const from = leases.location(lease.slot) - tier.memory.base + leaseOffset;
      const bytes = Uint8Array.from(tier.memory.bytes.subarray(from, from + lengthBytes));
      leases.unpin(lease.slot);
      return bytes;
    },
    close: async () => {
      await vfs.stop();
      await loader.stop();
      await store.close();
      await meta.stop();
      tier.close();
    },
  };
}
