import { mkdir, realpath } from 'node:fs/promises';
import type { BlockKey } from '../block/block-key.ts';
import type { MeshLoader } from '../mesh/mesh-loader.ts';
import type { Drain } from '../mesh/warm/drain.ts';
import type { GroupCache } from '../mesh/warm/group-cache.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { systemRandom } from '../runtime/random.ts';
import { loadLibc } from '../runtime/system/libc.ts';
import type { BlockStage } from '../store/stage/block-stage.ts';
import { DEFAULT_VFS_OPTIONS } from '../vfs/options.ts';
import { Vfs } from '../vfs/vfs.ts';
import type { VfsWriting } from '../vfs/vfs-parts.ts';
import { createBlockPath } from './block-path.ts';
import { createCache, type LocalCache } from './cache.ts';
import { configText } from './config-text.ts';
import { controlAnswers, type ControlParts } from './control-answers.ts';
import { ControlServer } from './control-socket.ts';
import type { DaemonContext } from './daemon-context.ts';
import { createDriver } from './driver.ts';
import type { CacheGroup } from './group.ts';
import { createGroupCache, createGroupFiller } from './group-cache.ts';
import type { MountConfig } from './mount-config.ts';
import { ownReport } from './own-report.ts';
import { attachPassthrough, passthroughSource, wantsPassthrough } from './passthrough.ts';
import { MetricsServer, PrometheusMetrics } from './prometheus.ts';
import { SessionKeeper } from './session-keeper.ts';
import { sessionInfoOf } from './session-info.ts';
import { openStaging, startUploads } from './staging.ts';
import { ShutdownStack } from './shutdown-stack.ts';
import { findSubdir, openVolume, type OpenVolume } from './volume.ts';
import { openWriting } from './writing.ts';

/** Of the memory tier: small files that were not opened yet must not displace what is read again. */
const FILE_AHEAD_SHARE = 0.5;

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
    const group = await this.#joinGroup(volume, cache);
    const staging = await openStaging(volume, config, this.#context);
    const sources = { volume, cache, group, staged: staging?.stage };
    const path = createBlockPath(sources, config, this.#context);
    const { loader, server } = path;
    this.#shutdown.push('loader', () => loader.stop());
    await loader.start();
    const { bufferBytes } = config.cache;
    const { replicas } = config.group;
    const warming = { loader, cache, server, group, bufferBytes, replicas };
    const caches = createGroupCache(warming, this.#context, this.#shutdown);
    const { drain } = caches;
    const report = group && this.#reportOf(cache, group, { drain, stage: staging?.stage });
    if (report !== undefined) group?.host.reports.handle(report);
    group?.host.handle(server);
    await group?.listen();
    const session = await this.#startSession(volume, group);
    const sid = session.sid ?? 0n;
    await group?.follow();
    if (staging !== undefined) startUploads(staging, loader, this.#shutdown);
    if (config.group.weight === 0 && !config.group.noSharing) drain?.begin();
    const filler = createGroupFiller(
      { caches, path, group },
      config,
      this.#context,
      this.#shutdown,
    );
    const writes = {
      ...{ storage: staging?.storage, skipDirMtimeMs: config.skipDirMtimeMs },
      onStored: filler && ((key: BlockKey) => filler.fill(key)),
    };
    const onUnfit = (error: Error) => this.#closing.reject(error);
    const writing = config.readWrite
      ? await openWriting(
          { ...writes, volume, path, session, onUnfit },
          this.#context,
          this.#shutdown,
        )
      : undefined;
    const shown = { loader, cache: caches.cache, disk: cache.disk, sid, writing };
    const vfs = await this.#createVfs(volume, shown);
    await this.#startMetrics();
    await this.#mount(volume, cache, vfs);
    await this.#startControl({ vfs, server, staging, group, drain, report });
  }

  /** Unmounts and ends everything. Never rejects. */
  async stop(): Promise<void> {
    await this.#shutdown.unwind();
  }

  async #joinGroup(volume: OpenVolume, cache: LocalCache): Promise<CacheGroup | undefined> {
    const config = this.#config;
    if (config.group.name === undefined) return undefined;
    // Only when needed: libp2p takes half a second and 40 MB.
    const { joinGroup } = await import('./group.ts');
    return await joinGroup({ config, volume, cache, shutdown: this.#shutdown }, this.#context);
  }

  async #startCache(volume: OpenVolume): Promise<LocalCache> {
    const config = { ...this.#config.cache, makesViews: wantsPassthrough(this.#config) };
    const cache = createCache(config, volume.setting, this.#context);
    this.#shutdown.push('memory tier', () => cache.memory.close());
    if (cache.disk !== undefined) {
      const { disk } = cache;
      this.#shutdown.push('disk tier', () => disk.stop());
      await disk.start();
    }
    return cache;
  }

  async #createVfs(
    volume: OpenVolume,
    parts: {
      loader: MeshLoader;
      cache: GroupCache;
      disk: LocalCache['disk'];
      sid: bigint;
      writing: VfsWriting | undefined;
    },
  ): Promise<Vfs> {
    const { reading, cache, origin } = this.#config;
    const { subdir, fileAheadBytes, ...options } = reading;
    const vfs = new Vfs({
      ...this.#context,
      meta: volume.meta,
      loader: parts.loader,
      cache: parts.cache,
      setting: volume.setting,
      writing: parts.writing,
      passthrough: wantsPassthrough(this.#config)
        ? passthroughSource(this.#config, parts)
        : undefined,
      internals: {
        stats: () => this.#metrics.stats(),
        config: configText(this.#config, volume.setting, {
          sid: parts.sid,
          pid: process.pid,
          ppid: process.ppid,
        }),
      },
      options: {
        ...DEFAULT_VFS_OPTIONS,
        ...options,
        rootIno: await findSubdir(volume.meta, subdir),
        bufferBytes: cache.bufferBytes,
        fileAheadBytes: Math.min(
          fileAheadBytes ?? Number.POSITIVE_INFINITY,
          cache.memoryBytes * FILE_AHEAD_SHARE,
        ),
        ioRetries: origin.ioRetries,
        internalUid: process.getuid?.() ?? 0,
        internalGid: process.getgid?.() ?? 0,
      },
    });
    this.#shutdown.push('vfs', () => vfs.stop());
    return vfs;
  }

  async #startSession(volume: OpenVolume, group: CacheGroup | undefined) {
    const keeper = new SessionKeeper({
      ...this.#context,
      sessions: volume.meta,
      info: sessionInfoOf(this.#config, group, this.#context.clock),
      heartbeatMs: this.#config.heartbeatMs,
    });
    this.#shutdown.push('session', () => keeper.stop());
    await keeper.start();
    return keeper;
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
      direct: volume.meta.direct,
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
    const { logger } = this.#context;
    attachPassthrough(this.#config, { vfs, driver, views: cache.disk?.views, logger });
    const { changes } = volume.meta;
    if (changes !== undefined && driver.takesBack) vfs.followChanges(changes, driver);
    driver.closed.then(
      () => this.#closing.resolve(),
      (error: unknown) => this.#closing.reject(error),
    );
  }

  /** How this node is doing, for other members and the command line. */
  #reportOf(
    cache: LocalCache,
    group: CacheGroup,
    { drain, stage }: { drain: Drain | undefined; stage: BlockStage | undefined },
  ) {
    const { memory, disk } = cache;
    return () =>
      ownReport({
        metrics: this.#metrics,
        memory,
        disk,
        view: group.membership.current(),
        ring: group.ring.fingerprint,
        drain: drain?.progress,
        staged: stage?.usage(),
      });
  }

  async #startControl(parts: ControlParts): Promise<void> {
    const { mountpoint } = this.#config;
    const answer = controlAnswers(parts, this.#config, this.#context);
    // Those who ask know the mount by the mount table, which has no symbolic links.
    const place = await realpath(mountpoint).catch(() => mountpoint);
    const control = new ControlServer(place, answer, this.#context.logger);
    this.#shutdown.push('control socket', () => control.stop());
    await control.start();
  }
}
