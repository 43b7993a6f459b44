import type { ExtentSink } from '../fuse/driver.ts';
import type {
  AttrReply,
  DirEntryReply,
  EntryReply,
  FuseContext,
  FuseOperations,
  NegativeReply,
  OpenReply,
  ReadReply,
  StatfsReply,
} from '../fuse/operations.ts';
import type { Ino } from '../posix/ino.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { Directories } from './directories.ts';
import { errnoOf } from './errno-of.ts';
import { ExtentPublisher } from './extent-publisher.ts';
import { Files } from './files.ts';
import { type NodeInfo, nodeInfo } from './node-info.ts';
import { Nodes } from './nodes.ts';
import { OpenFiles } from './open-files.ts';
import { PlanCache } from './plan-cache.ts';
import { ReadAhead } from './read-ahead.ts';
import { Reader } from './reader.ts';
import { RootMap } from './root-map.ts';
import { seek } from './seek.ts';
import { Statfs } from './statfs.ts';
import { ToldAttrs } from './told-attrs.ts';
import type { VfsParts } from './vfs-parts.ts';
import { VirtualNodes } from './virtual-nodes.ts';
import { Xattrs } from './xattrs.ts';

/** Inodes whose attribute we remember to have told the kernel. */
const TOLD_MAX = 100_000;
/** Share of the buffer that reading ahead may use, as JuiceFS has it. */
const READ_AHEAD_SHARE = 0.8;
/** Blocks that one stream reads ahead, as JuiceFS has it. */
const READ_AHEAD_BLOCKS = 8;

/** A volume as a file system. */
export class Vfs implements FuseOperations {
  readonly #parts: VfsParts;
  readonly #root: RootMap;
  readonly #nodes: Nodes;
  readonly #directories: Directories;
  readonly #files: Files;
  readonly #xattrs: Xattrs;
  readonly #statfs: Statfs;
  readonly #plans: PlanCache;
  readonly #publisher: ExtentPublisher;
  readonly #ahead: ReadAhead;
  readonly #reader: Reader;

  constructor(parts: VfsParts) {
    const { meta, loader, setting, options, clock, logger, metrics } = parts;
    const { blockBytes } = setting;
    this.#parts = parts;
    this.#root = new RootMap(options.rootIno);
    const timeoutMs = options.ioTimeoutMs;
    this.#plans = new PlanCache({ meta, clock, piecesMax: options.planPiecesMax, timeoutMs });
    this.#publisher = new ExtentPublisher(loader, this.#plans, blockBytes);
    const files = this.#openFiles();
    const told = new ToldAttrs({ clock, timeoutMs: options.attrCacheMs, max: TOLD_MAX });
    const shared = {
      meta,
      options,
      clock,
      metrics,
      root: this.#root,
      virtual: this.#virtual(),
      files,
      told,
    };
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
    this.#ahead = new ReadAhead({
      ...data,
      maxBytes: options.maxReadaheadBytes ?? READ_AHEAD_BLOCKS * blockBytes,
      budgetBytes: options.bufferBytes * READ_AHEAD_SHARE,
    });
    this.#reader = new Reader({
      ...data,
      ahead: this.#ahead,
      nodes: this.#nodes,
      retries: options.ioRetries,
      timeoutMs,
    });
    const { publisher, ahead } = { publisher: this.#publisher, ahead: this.#ahead };
    this.#files = new Files({ ...shared, nodes: this.#nodes, publisher, ahead, blockBytes });
  }

  /** Worker threads of the driver answer reads from what is published here; undefined: nobody does. */
  attachExtents(sink: ExtentSink | undefined): void {
    this.#publisher.attach(sink);
  }

  /**
   * @param invalidate - the driver's `invalidateInode`: used when an open finds a file changed while
   *   the kernel may still believe the old length
   */
  attachInvalidation(
    invalidate: ((ino: Ino, offset: number, lengthBytes: number) => void) | undefined,
  ): void {
    this.#files.onStaleAttr(invalidate && ((ino) => invalidate(ino, -1, 0)));
  }

  /** Ends what goes on in the background. Open handles need not be closed before. */
  stop(): void {
    this.#ahead.stop();
    this.#publisher.attach(undefined);
  }

  lookup(context: FuseContext, parent: Ino, name: Uint8Array): Promise<EntryReply | NegativeReply> {
    return this.#run('lookup', context, () => this.#nodes.lookup(context, parent, name));
  }

  /** Nothing is kept per reference of the kernel. */
  forget(_ino: Ino, _count: bigint): void {}

  getattr(context: FuseContext, ino: Ino): Promise<AttrReply> {
    return this.#run('getattr', context, () => this.#nodes.getattr(context, ino));
  }

  readlink(context: FuseContext, ino: Ino): Promise<Uint8Array> {
    return this.#run('readlink', context, () => this.#nodes.readlink(context, ino));
  }

  open(context: FuseContext, ino: Ino, flags: number): Promise<OpenReply> {
    return this.#run('open', context, () => this.#files.open(context, ino, flags));
  }

  read(
    context: FuseContext,
    _ino: Ino,
    fh: bigint,
    range: { offset: number; length: number },
  ): Promise<ReadReply> {
    return this.#run('read', context, () =>
      this.#reader.read(this.#files.handle(fh), range, context.signal),
    );
  }

  touched(fh: bigint, offset: number): void {
    const handle = this.#files.find(fh);
    if (handle !== undefined) this.#reader.touched(handle, offset);
  }

  release(fh: bigint): void {
    this.#files.release(fh);
  }

  opendir(context: FuseContext, ino: Ino): Promise<OpenReply> {
    return this.#run('opendir', context, async () => this.#directories.opendir(ino));
  }

  // oxlint-disable-next-line max-params -- the contract with the drivers
  readdir(
    context: FuseContext,
    _ino: Ino,
    fh: bigint,
    options: { offset: bigint; plus: boolean },
    add: (entry: DirEntryReply) => boolean,
  ): Promise<void> {
    return this.#run('readdir', context, () =>
      this.#directories.readdir(context, fh, options, add),
    );
  }

  releasedir(fh: bigint): void {
    this.#directories.releasedir(fh);
  }

  statfs(context: FuseContext, ino: Ino): Promise<StatfsReply> {
    return this.#run('statfs', context, () =>
      this.#statfs.of(this.#root.toVolume(ino), context.signal),
    );
  }

  getxattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<Uint8Array> {
    return this.#run('getxattr', context, () => this.#xattrs.get(context, ino, name));
  }

  listxattr(context: FuseContext, ino: Ino): Promise<readonly Uint8Array[]> {
    return this.#run('listxattr', context, () => this.#xattrs.list(context, ino));
  }

  lseek(
    context: FuseContext,
    ino: Ino,
    fh: bigint,
    request: { offset: number; whence: 'data' | 'hole' },
  ): Promise<number> {
    const { clock, options } = this.#parts;
    const wait = { what: `lseek in inode ${ino}`, timeoutMs: options.ioTimeoutMs };
    return this.#run('lseek', context, () =>
      withDeadline(clock, { ...wait, signal: context.signal }, (signal) =>
        seek(this.#plans, this.#files.handle(fh).version, request, signal),
      ),
    );
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

  #openFiles(): OpenFiles {
    const { options, clock } = this.#parts;
    return new OpenFiles({
      limit: options.openCacheLimit,
      clock,
      onEnd: (version) => {
        this.#publisher.retractAll(version);
        this.#plans.dropAll(version);
      },
    });
  }

  #virtual(): VirtualNodes {
    const { options, clock } = this.#parts;
    const withTrash = this.#root.isWhole;
    return new VirtualNodes({ ...options, withTrash, startedAtMs: clock.wallMs() });
  }

  async #run<T>(operation: string, context: FuseContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { logger, metrics } = this.#parts;
      throw errnoOf(error, { logger, metrics, operation, signal: context.signal });
    }
  }
}
