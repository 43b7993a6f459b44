import type { BackingFiles, ExtentSink } from '../fuse/driver.ts';
import type { FuseFileSystem } from '../fuse/file-system.ts';
import {
  type AttrReply,
  type DirEntryReply,
  type EntryReply,
  type FuseContext,
  handleOf,
  type NegativeReply,
  type NewBytes,
  type OpenReply,
  type ReadReply,
  type StatfsReply,
} from '../fuse/operations.ts';
import type { ShortcutHost } from '../fuse/kernel/request-shortcut.ts';
import type { ChangeStream } from '../meta/change-stream.ts';
import type { DirectReads } from '../meta/direct-reads.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import type { Libc } from '../runtime/system/libc.ts';
import { machineMs } from '../runtime/clock.ts';
import { FileAhead } from './ahead/file-ahead.ts';
import { Coherence, type KernelNotices } from './coherent/coherence.ts';
import { Directories } from './directories.ts';
import { ExtentPublisher } from './extent-publisher.ts';
import { Files } from './files.ts';
import { type NodeInfo, nodeInfo } from './node-info.ts';
import { detail } from './internal/access-detail.ts';
import { AccessLog } from './internal/access-log.ts';
import { InternalFiles } from './internal/internal-files.ts';
import { LoggedCalls } from './internal/logged-calls.ts';
import { KernelReads } from './kernel-reads.ts';
import { Nodes } from './nodes.ts';
import { OpenFiles } from './open-files.ts';
import { PlanCache } from './plan-cache.ts';
import { ReadAhead, readAheadLimits } from './read-ahead.ts';
import { Reader } from './reader.ts';
import { RootMap } from './root-map.ts';
import type { SeekRequest } from './seek.ts';
import { MetaShortcut } from './shortcut/meta-shortcut.ts';
import { Statfs } from './statfs.ts';
import { ToldAttrs } from './told-attrs.ts';
import type { VfsParts } from './vfs-parts.ts';
import { isVirtual, VirtualIno, VirtualNodes } from './virtual-nodes.ts';
import { CacheJobs } from './warm/cache-jobs.ts';
import { VfsMetadataMemory } from './warm/metadata-memory.ts';
import type { VfsMutations } from './write/vfs-mutations.ts';
import { Writing } from './write/writing.ts';
import { Xattrs } from './xattrs.ts';

/** Inodes whose attribute we remember to have told the kernel. */
const TOLD_MAX = 100_000;
/** Of the room for plans, what warming up may fill. */
const WARM_PLAN_SHARE = 0.5;

/** A volume as a file system. */
export class Vfs implements FuseFileSystem {
  readonly #parts: VfsParts;
  readonly #root: RootMap;
  readonly #nodes: Nodes;
  readonly #directories: Directories;
  readonly #openFiles: OpenFiles;
  readonly #told: ToldAttrs;
  readonly #coherence: Coherence;
  readonly #files: Files;
  readonly #kernelReads: KernelReads | undefined;
  readonly #xattrs: Xattrs;
  readonly #statfs: Statfs;
  readonly #plans: PlanCache;
  readonly #publisher: ExtentPublisher;
  readonly #ahead: ReadAhead;
  readonly #fileAhead: FileAhead;
  readonly #reader: Reader;
  #shortcut: MetaShortcut | undefined;
  readonly #jobs: CacheJobs;
  readonly #calls: LoggedCalls;
  readonly #internals: InternalFiles;
  readonly #writing: Writing | undefined;
  readonly mutations: VfsMutations | undefined;

  constructor(parts: VfsParts) {
    const { meta, loader, setting, options, clock, logger, metrics } = parts;
    const [{ blockBytes }, timeoutMs] = [setting, options.ioTimeoutMs];
    this.#parts = parts;
    this.#root = new RootMap(options.rootIno);
    this.#plans = this.#createPlans();
    this.#publisher = new ExtentPublisher(loader, this.#plans, blockBytes);
    const files = this.#createOpenFiles();
    this.#openFiles = files;
    const catchUp = () => this.#shortcut?.catchUp();
    const told = new ToldAttrs({ clock, timeoutMs: options.attrCacheMs, max: TOLD_MAX, catchUp });
    this.#told = told;
    const holding = { root: this.#root, told, files, clock, metrics, machineMs, catchUp };
    this.#coherence = new Coherence(holding);
    const own = { virtual: this.#virtual(), coherence: this.#coherence };
    const shared = { meta, options, ...holding, ...own };
    this.#nodes = new Nodes(shared);
    this.#directories = new Directories(shared, this.#nodes);
    this.#xattrs = new Xattrs(parts, this.#root, this.#nodes);
    this.#statfs = new Statfs(meta, setting, clock);
    const bufferGauge = metrics.gauge({
      name: 'used_buffer_size_bytes',
      help: 'Bytes that were read and not yet handed over, or asked for ahead',
    });
    const reading = { loader, clock, logger, metrics, blockBytes, bufferGauge };
    const data = { ...reading, plans: this.#plans, publisher: this.#publisher };
    this.#ahead = new ReadAhead({ ...data, ...readAheadLimits(options, blockBytes) });
    const from = { ahead: this.#ahead, nodes: this.#nodes };
    this.#reader = new Reader({
      ...{ ...data, ...from, retries: options.ioRetries, timeoutMs },
      beforeReading: (...what) => this.#writing?.beforeReading(...what),
    });
    const { fileAheadBytes: budgetBytes, openCacheLimit: filesKept } = options;
    const bringing = { ...parts, ...data, files, told, catchUp, budgetBytes, filesKept };
    this.#fileAhead = new FileAhead(bringing);
    const changed = { openFiles: files, plans: this.#plans };
    this.#writing = parts.writing && new Writing(parts, parts.writing, changed);
    this.#kernelReads =
      parts.passthrough && new KernelReads({ ...shared, ...data, ...parts.passthrough });
    this.#files = new Files({
      ...{ ...shared, ...data, ...from },
      ...{ fileAhead: this.#fileAhead, writing: this.#writing?.forFiles },
      passthrough: this.#kernelReads?.passthrough,
    });
    const memory = this.#memory(files);
    const pins = this.#kernelReads?.pins;
    this.#jobs = new CacheJobs({ ...parts, root: this.#root, blockBytes, memory, pins });
    const accessLog = this.#createAccessLog();
    this.#calls = new LoggedCalls({ clock, logger, metrics, log: accessLog });
    this.#internals = this.#createInternals(accessLog);
    const changing = { ...shared, nodes: this.#nodes, files: this.#files };
    this.mutations = this.#writing?.mutations(changing, this.#calls);
  }

  /** Worker threads of the driver answer reads from what is published here; undefined: nobody does. */
  attachExtents(sink: ExtentSink | undefined): void {
    this.#publisher.attach(sink);
  }

  /** The kernel reads files by itself from now on, as far as `backing` lets it; undefined: none. */
  attachBacking(backing: BackingFiles | undefined): void {
    this.#kernelReads?.passthrough.attach(backing);
  }

  /**
   * @param invalidate - the driver's `invalidateInode`: used when an open finds a file changed while
   *   the kernel may still believe the old length
   */
  attachInvalidation(
    invalidate: ((ino: Ino, offset: number, lengthBytes: number) => void) | undefined,
  ): void {
    this.#files.onStaleAttr(invalidate && ((ino) => invalidate(ino, -1, 0)));
    if (invalidate !== undefined) this.#writing?.attachInvalidation(invalidate, this.#root);
  }

  /**
   * From now on the kernel holds names and attributes until they change.
   *
   * @param kernel - a driver that takes back, {@link FuseDriver.takesBack}
   */
  followChanges(stream: ChangeStream, kernel: KernelNotices): void {
    this.#coherence.follow(stream, kernel);
  }

  /**
   * A way for worker threads of the driver to answer look-ups and opens without this thread.
   *
   * @param direct - of the engine that this file system reads
   */
  createShortcut(direct: DirectReads, libc: Libc): ShortcutHost {
    const { options, clock, logger, metrics } = this.#parts;
    this.#shortcut = new MetaShortcut({
      direct,
      libc,
      options,
      openFiles: this.#openFiles,
      files: this.#files,
      told: this.#told,
      coherence: this.#coherence,
      isReadOnly: this.mutations === undefined,
      clock,
      logger,
      metrics,
    });
    return this.#shortcut;
  }

  /** Warm-ups, checks and evictions of this node. */
  get jobs(): CacheJobs {
    return this.#jobs;
  }

  /** Commits what was written and ends what goes on in the background. Never rejects. */
  async stop(): Promise<void> {
    await this.#writing?.stop();
    this.#coherence.stop();
    this.#jobs.stop();
    this.#ahead.stop();
    this.#fileAhead.stop();
    this.#kernelReads?.views.stop();
    this.#publisher.attach(undefined);
  }

  lookup(context: FuseContext, parent: Ino, name: Uint8Array): Promise<EntryReply | NegativeReply> {
    const work = () => this.#nodes.lookup(context, parent, name);
    return this.#calls.run('lookup', context, work, (found) => detail.lookup(parent, name, found));
  }

  /** Nothing is kept per reference of the kernel. */
  forget(_ino: Ino, _count: bigint): void {}

  getattr(context: FuseContext, ino: Ino): Promise<AttrReply> {
    const work = () => this.#nodes.getattr(context, ino);
    return this.#calls.run('getattr', context, work, (found) => detail.getattr(ino, found));
  }

  readlink(context: FuseContext, ino: Ino): Promise<Uint8Array> {
    const work = () => this.#nodes.readlink(context, ino);
    return this.#calls.run('readlink', context, work, (target) => detail.readlink(ino, target));
  }

  isWritable(ino: Ino): boolean {
    return ino === VirtualIno.control;
  }

  open(context: FuseContext, ino: Ino, flags: number): Promise<OpenReply> {
    const work = () =>
      isVirtual(ino) ? this.#internals.open(ino, flags) : this.#files.open(context, ino, flags);
    return this.#calls.run('open', context, work, (opened) => detail.open(ino, flags, opened));
  }

  read(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    range: { offset: number; length: number },
  ): Promise<ReadReply> {
    const isInternal = this.#internals.owns(fh);
    const work = async () =>
      isInternal
        ? this.#internals.read(context, fh, range)
        : this.#reader.read(this.#files.handle(fh), range, context.signal);
    // Reading the log does not make the log grow.
    const isLog = ino === VirtualIno.accessLog;
    const tell = (found?: ReadReply) => detail.read({ ino, fh, ...range }, found);
    return this.#calls.run('read', context, work, isLog ? undefined : tell);
  }

  write(context: FuseContext, ino: Ino, fh: bigint, data: NewBytes): Promise<number> {
    const work = async () => {
      if (this.#internals.owns(fh)) return this.#internals.write(context, fh, data.bytes);
      if (this.mutations === undefined) throw new FsError('EROFS');
      return await this.mutations.data.write(context, fh, data);
    };
    const { offset } = data;
    const length = data.bytes.byteLength;
    return this.#calls.run('write', context, work, () => detail.write({ ino, fh, offset, length }));
  }

  touched(fh: bigint, offset: number): void {
    const handle = this.#files.taken(fh);
    if (handle !== undefined) this.#reader.touched(handle, offset);
  }

  release(fh: bigint, options?: { readonly taken: boolean }): void {
    if (this.#internals.owns(fh)) {
      this.#internals.release(fh);
      return;
    }
    this.#calls.done('release', () => detail.release(this.#files.find(fh)?.file.ino, fh));
    if (options?.taken === false) this.#files.abandon(handleOf(fh));
    else this.#files.release(fh);
  }

  opendir(context: FuseContext, ino: Ino): Promise<OpenReply> {
    const work = async () => this.#directories.opendir(ino);
    return this.#calls.run('opendir', context, work, (opened) => detail.opendir(ino, opened));
  }

  // oxlint-disable-next-line max-params -- the contract with the drivers
  readdir(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    options: { offset: bigint; plus: boolean },
    add: (entry: DirEntryReply) => boolean,
  ): Promise<void> {
    let entries = 0;
    const counted = (entry: DirEntryReply) => {
      const taken = add(entry);
      if (taken) entries += 1;
      return taken;
    };
    const work = () => this.#directories.readdir(context, fh, options, counted);
    const { offset, plus } = options;
    return this.#calls.run('readdir', context, work, () =>
      detail.readdir(ino, offset, plus, entries),
    );
  }

  releasedir(fh: bigint): void {
    this.#directories.releasedir(fh);
  }

  statfs(context: FuseContext, ino: Ino): Promise<StatfsReply> {
    const work = () => this.#statfs.of(this.#root.toVolume(ino), context.signal);
    return this.#calls.run('statfs', context, work, () => detail.inode(ino));
  }

  getxattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<Uint8Array> {
    const work = () => this.#xattrs.get(context, ino, name);
    return this.#calls.run('getxattr', context, work, (value) => detail.getxattr(ino, name, value));
  }

  listxattr(context: FuseContext, ino: Ino): Promise<readonly Uint8Array[]> {
    const work = () => this.#xattrs.list(context, ino);
    return this.#calls.run('listxattr', context, work, () => detail.inode(ino));
  }

  lseek(context: FuseContext, ino: Ino, fh: bigint, request: SeekRequest): Promise<number> {
    const work = async () => this.#reader.seek(this.#files.handle(fh), request, context.signal);
    const { offset } = request;
    return this.#calls.run('lseek', context, work, (found) => detail.lseek(ino, offset, found));
  }

  /**
   * Everything about an inode, for people.
   *
   * @param ino - as the mount shows it
   * @throws FsError ENOENT; what the engine throws
   */
  info(ino: Ino, signal: AbortSignal): Promise<NodeInfo> {
    const { meta, setting } = this.#parts;
    return nodeInfo(meta, setting, this.#root.toVolume(ino), signal);
  }

  #memory(files: OpenFiles): VfsMetadataMemory {
    const { openCacheLimit, planPiecesMax } = this.#parts.options;
    return new VfsMetadataMemory({
      files,
      plans: this.#plans,
      nodes: this.#nodes,
      filesMax: openCacheLimit,
      piecesMax: planPiecesMax * WARM_PLAN_SHARE,
    });
  }

  /** While it is read, every request has to come by this thread. */
  #createAccessLog(): AccessLog {
    const onWatched = (watched: boolean) => {
      this.#publisher.pause(watched);
      this.#shortcut?.pause(watched);
    };
    return new AccessLog({ ...this.#parts, onWatched });
  }

  #createPlans(): PlanCache {
    const { meta, clock, options } = this.#parts;
    return new PlanCache({
      ...{ meta, clock, piecesMax: options.planPiecesMax, timeoutMs: options.ioTimeoutMs },
      onLoaded: ({ ino, index }, records, pieces) =>
        this.#writing?.compactions.noteRead(ino, index, records, pieces.length),
    });
  }

  #createOpenFiles(): OpenFiles {
    const { options, clock } = this.#parts;
    return new OpenFiles({
      limit: options.openCacheLimit,
      clock,
      onEnd: (version) => {
        this.#publisher.retractAll(version);
        this.#plans.dropAll(version);
        this.#kernelReads?.views.ended(version);
      },
    });
  }

  #createInternals(accessLog: AccessLog): InternalFiles {
    const { internals, options } = this.#parts;
    return new InternalFiles({
      ...this.#parts,
      root: this.#root,
      clone: this.#writing?.cloner(this.#root),
      jobs: this.#jobs,
      sources: internals,
      accessLog,
      handlesMax: options.handlesMax,
    });
  }

  #virtual(): VirtualNodes {
    const { options, clock, internals } = this.#parts;
    const withTrash = this.#root.isWhole;
    const configBytes = Buffer.byteLength(internals.config);
    return new VirtualNodes({ ...options, withTrash, configBytes, startedAtMs: clock.wallMs() });
  }
}
