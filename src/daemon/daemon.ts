import { mkdir, realpath } from 'node:fs/promises';
import { toIno } from '../posix/ino.ts';
import { BlockRoute } from '../mesh/block-route.ts';
import { BlockServer } from '../mesh/block-server.ts';
import { LoadMetrics } from '../mesh/load-metrics.ts';
import { MeshLoader } from '../mesh/mesh-loader.ts';
import { systemClock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import { systemRandom } from '../runtime/random.ts';
import { loadLibc } from '../runtime/system/libc.ts';
import { DEFAULT_VFS_OPTIONS } from '../vfs/options.ts';
import { Vfs } from '../vfs/vfs.ts';
import { createCache, type LocalCache } from './cache.ts';
import { ControlServer } from './control-socket.ts';
import type { DaemonContext } from './daemon-context.ts';
import { createDriver } from './driver.ts';
import { reportFile } from './file-report.ts';
import type { CacheGroup } from './group.ts';
import type { MountConfig } from './mount-config.ts';
import { MetricsServer, PrometheusMetrics } from './prometheus.ts';
import { SessionKeeper } from './session-keeper.ts';
import { sessionInfoOf } from './session-info.ts';
import { ShutdownStack } from './shutdown-stack.ts';
import { findSubdir, openVolume, type OpenVolume } from './volume.ts';

/** A question of the command line is answered within this, before the asker gives up (30 s). */
const INFO_TIMEOUT_MS = 25_000;

/** One mount: composes all layers, starts them bottom up and stops them top down. */
export class Daemon {
  /** Resolves when the mount is gone, whoever unmounted it; rejects when it broke. */
  readonly closed: Promise<void>;
  readonly #config: MountConfig;
  readonly #context: DaemonContext;
  readonly #metrics: PrometheusMetrics;
  readonly #shutdown: ShutdownStack;
  readonly #closing = Promise.withResolvers<void>();
  #volumeName = '';
  #metricsUrl: string | undefined;

  /** @param surroundings - the log, and the environment for passwords */
  constructor(
    config: MountConfig,
    surroundings: { logger: Logger; env: Readonly<Record<string, string | undefined>> },
  ) {
    this.#config = config;
    this.#metrics = new PrometheusMetrics({ mp: config.mountpoint });
    this.#context = {
      ...surroundings,
      clock: systemClock,
      random: systemRandom,
      metrics: this.#metrics,
      libc: loadLibc(),
    };
    this.#shutdown = new ShutdownStack(surroundings.logger);
    this.closed = this.#closing.promise;
    this.closed.catch(() => undefined);
  }

  /** The volume's name, once started. */
  get volumeName(): string {
    return this.#volumeName;
  }

  /** Where the metrics are served, once started. */
  get metricsUrl(): string | undefined {
    return this.#metricsUrl;
  }

  /** Mounts. @throws what is wrong with the volume, the options or the machine; `stop` is due then too */
  async start(): Promise<void> {
    const config = this.#config;
    const volume = await openVolume(config.metaUrl, config.origin, this.#context, this.#shutdown);
    this.#volumeName = volume.setting.name;
    const cache = await this.#startCache(volume);
    const group = await this.#joinGroup(volume);
    const loads = new LoadMetrics(this.#metrics);
    const loader = await this.#startLoader({ volume, cache, group, loads });
    const server = new BlockServer(loader, cache, loads);
    const vfs = await this.#createVfs(volume, loader);
    group?.host.handle(server);
    await group?.listen();
    await this.#startSession(volume, group);
    await group?.follow();
    await this.#startMetrics();
    await this.#mount(volume, cache, vfs);
    await this.#startControl({ vfs, server, group });
  }

  /** Unmounts and ends everything. Never rejects. */
  async stop(): Promise<void> {
    await this.#shutdown.unwind();
  }

  async #joinGroup(volume: OpenVolume): Promise<CacheGroup | undefined> {
    const config = this.#config;
    if (config.group.name === undefined) return undefined;
    // Only when needed: libp2p takes half a second and 40 MB.
    const { joinGroup } = await import('./group.ts');
    return await joinGroup({ config, volume, shutdown: this.#shutdown }, this.#context);
  }

  async #startCache(volume: OpenVolume): Promise<LocalCache> {
    const cache = createCache(this.#config.cache, volume.setting, this.#context);
    this.#shutdown.push('memory tier', () => cache.memory.close());
    if (cache.disk !== undefined) {
      const { disk } = cache;
      this.#shutdown.push('disk tier', () => disk.stop());
      await disk.start();
    }
    return cache;
  }

  async #startLoader(parts: {
    volume: OpenVolume;
    cache: LocalCache;
    group: CacheGroup | undefined;
    loads: LoadMetrics;
  }): Promise<MeshLoader> {
    const { volume, cache, group, loads } = parts;
    const { clock, logger } = this.#context;
    const route = new BlockRoute({ origin: volume.origin, group, metrics: loads, logger });
    const loader = new MeshLoader({
      memory: cache.memory,
      disk: cache.disk,
      leases: cache.leases,
      route,
      rangeable: volume.origin.rangeable,
      keepInMemory: this.#config.cache.memoryBytes > 0,
      prefetchWorkers: this.#config.cache.prefetchWorkers,
      clock,
      metrics: loads,
      logger,
    });
    this.#shutdown.push('loader', () => loader.stop());
    await loader.start();
    return loader;
  }

  async #createVfs(volume: OpenVolume, loader: MeshLoader): Promise<Vfs> {
    const { reading, cache, origin } = this.#config;
    const { subdir, ...options } = reading;
    const vfs = new Vfs({
      ...this.#context,
      meta: volume.meta,
      loader,
      setting: volume.setting,
      options: {
        ...DEFAULT_VFS_OPTIONS,
        ...options,
        rootIno: await findSubdir(volume.meta, subdir),
        bufferBytes: cache.bufferBytes,
        ioRetries: origin.ioRetries,
        internalUid: process.getuid?.() ?? 0,
        internalGid: process.getgid?.() ?? 0,
      },
    });
    this.#shutdown.push('vfs', () => vfs.stop());
    return vfs;
  }

  async #startSession(volume: OpenVolume, group: CacheGroup | undefined): Promise<void> {
    const keeper = new SessionKeeper({
      ...this.#context,
      sessions: volume.meta,
      info: sessionInfoOf(this.#config, group, this.#context.clock),
      heartbeatMs: this.#config.heartbeatMs,
    });
    this.#shutdown.push('session', () => keeper.stop());
    await keeper.start();
  }

  async #startMetrics(): Promise<void> {
    const { metricsAddress } = this.#config;
    if (metricsAddress === undefined) return;
    const server = new MetricsServer(this.#metrics, this.#context.logger);
    this.#shutdown.push('metrics', () => server.stop());
    const address = await server.start(metricsAddress);
    if (address !== undefined) this.#metricsUrl = `http://${address}/metrics`;
  }

  async #mount(volume: OpenVolume, cache: LocalCache, vfs: Vfs): Promise<void> {
    const { mountpoint } = this.#config;
    // A dead predecessor's mountpoint cannot even be looked at; the driver deals with it.
    await mkdir(mountpoint, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTCONN' && error.code !== 'EEXIST') throw error;
    });
    const parts = {
      vfs,
      fsname: `cachemesh:${volume.setting.name}`,
      blockBytes: volume.setting.blockBytes,
      acl: volume.setting.enableAcl,
      leases: cache.leases,
      memory: cache.arena,
      onFatal: (error: Error) => this.#closing.reject(error),
    };
    const driver = createDriver(this.#config, parts, this.#context);
    vfs.attachExtents(driver.extents);
    vfs.attachInvalidation((ino, offset, length) => driver.invalidateInode(ino, offset, length));
    this.#shutdown.push('mount', () => driver.stop());
    await driver.start();
    driver.closed.then(
      () => this.#closing.resolve(),
      (error: unknown) => this.#closing.reject(error),
    );
  }

  async #startControl(parts: {
    vfs: Vfs;
    server: BlockServer;
    group: CacheGroup | undefined;
  }): Promise<void> {
    const { vfs, server, group } = parts;
    const { logger, clock } = this.#context;
    const { mountpoint } = this.#config;
    const answer = async (url: URL) => {
      const ino = url.searchParams.get('ino');
      if (url.pathname !== '/info' || ino === null || !/^\d{1,20}$/.test(ino)) return undefined;
      const wait = { what: `report of inode ${ino}`, timeoutMs: INFO_TIMEOUT_MS };
      return await withDeadline(clock, wait, async (signal) => {
        const node = await vfs.info(toIno(BigInt(ino)), signal);
        return await reportFile(node, { local: server, group, logger }, signal);
      });
    };
    // Those who ask know the mount by the mount table, which has no symbolic links.
    const place = await realpath(mountpoint).catch(() => mountpoint);
    const control = new ControlServer(place, answer, logger);
    this.#shutdown.push('control socket', () => control.stop());
    await control.start();
  }
}
