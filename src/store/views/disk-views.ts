import { type CloneStep, cloneStepsOf, type ViewSpec } from '../../block/view-spec.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { Random } from '../../runtime/random.ts';
import type { CacheDisk } from '../cache-disk.ts';
import { systemCode } from '../cache-error.ts';
import type { CacheFile } from '../cache-file.ts';
import type { DiskEntry } from '../disk-entry.ts';
import type { DiskIndex } from '../disk-index.ts';
import type { MadeView, ViewRefusal, ViewTier } from '../tier.ts';
import { DiskView } from './disk-view.ts';
import { HeldRoom } from './held-room.ts';
import { NamelessFiles } from './nameless-files.ts';
import { tryReflinks } from './reflink-trial.ts';
import type { ViewCalls } from './view-calls.ts';
import { type ViewEnd, type ViewMetrics, viewMetrics } from './view-metrics.ts';

/** What {@link DiskViews} work with. */
export interface DiskViewsParts {
  readonly calls: ViewCalls;
  readonly disks: readonly CacheDisk[];
  readonly index: DiskIndex;
  /** A block's file with one user more, checked as a whole; undefined when it is bad or gone. */
  readonly acquire: (entry: DiskEntry, signal: AbortSignal) => Promise<CacheFile | undefined>;
  readonly release: (file: CacheFile) => void;
  /** Views at once; each has a descriptor. */
  readonly viewsMax: number;
  readonly fileMode: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What file systems say that share nothing, or not these files. */
const NO_REFLINKS = new Set(['ENOTSUP', 'ENOTTY', 'ENOSYS', 'EXDEV', 'EINVAL']);

/**
 * Files made of cached blocks without copying, for the kernel to read by itself. A view shares the room of
 * its blocks, so it costs nothing as long as they are there, and it ends with the first that goes. One
 * that the kernel reads can not be taken from it: then its blocks stay, and what of them goes all the
 * same (deleted, damaged) is counted as taken until the kernel lets go.
 *
 * Views have no names: after a crash nothing is left of them.
 */
export class DiskViews implements ViewTier {
  readonly #parts: DiskViewsParts;
  readonly #metrics: ViewMetrics;
  readonly #held: HeldRoom;
  /** Least recently used first. */
  readonly #views = new Set<DiskView>();
  readonly #byEntry = new Map<DiskEntry, Set<DiskView>>();
  readonly #pageBytes = new Map<CacheDisk, number>();
  readonly #closing = new Set<Promise<void>>();
  readonly #nameless: NamelessFiles;
  #unfit: string | undefined = 'no cache disk was tried yet';

  constructor(parts: DiskViewsParts) {
    this.#parts = parts;
    this.#metrics = viewMetrics(parts.metrics);
    this.#held = new HeldRoom(this.#metrics);
    this.#nameless = new NamelessFiles(parts);
  }

  get unfit(): string | undefined {
    return this.#unfit;
  }

  get most(): number {
    return this.#parts.viewsMax;
  }

  /** Finds out by trying whether the disks can do it. Never rejects. */
  async start(): Promise<void> {
    const { disks } = this.#parts;
    const [disk] = disks;
    if (disk === undefined || disks.length > 1) {
      // The blocks of a file are spread over all disks, and disks share nothing.
      this.#unfit = `it takes one cache directory, not ${disks.length}`;
      return;
    }
    try {
      if (disk.isDown) throw new Error('the disk is out of use');
      this.#pageBytes.set(disk, await tryReflinks(disk, this.#nameless, this.#parts.calls));
      this.#unfit = undefined;
    } catch (error) {
      const code = systemCode(error) ?? '';
      this.#unfit = NO_REFLINKS.has(code)
        ? `the file system of ${disk.directory} has no reflinks (${code})`
        : `trying reflinks in ${disk.directory} failed: ${String(error)}`;
    }
  }

  /** Ends all views. The kernel may go on with those that it has. */
  async stop(): Promise<void> {
    for (const view of [...this.#views]) this.#end(view, 'stop');
    await this.closed();
  }

  /** Resolves when the descriptors of the views that ended so far are closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  async make(spec: ViewSpec, signal: AbortSignal): Promise<MadeView | ViewRefusal> {
    const [disk] = this.#parts.disks;
    const pageBytes = disk && this.#pageBytes.get(disk);
    if (disk === undefined || pageBytes === undefined || disk.isDown) return 'unable';
    const steps = cloneStepsOf(spec, pageBytes);
    if (steps === undefined) return 'unaligned';
    if (!this.#makePlace()) return 'full';
    const view = await this.#create(disk, spec.lengthBytes);
    if (view === undefined) return 'failed';
    const refusal = await this.#fill(view, steps, signal);
    if (refusal !== undefined) {
      this.#end(view, undefined);
      this.#leave(view);
      if (signal.aborted) throw abortReason(signal);
      return refusal;
    }
    view.isMade = true;
    this.#metrics.made.add();
    this.#leave(view);
    return this.#handOut(view);
  }

  /** A block has left the index. @returns resolves when the room that its views shared is given back */
  dropped(entry: DiskEntry): Promise<unknown> | undefined {
    const views = this.#byEntry.get(entry);
    this.#held.dropped(entry);
    if (views === undefined) return undefined;
    for (const view of [...views]) this.#end(view, 'block');
    return this.closed();
  }

  #handOut(view: DiskView): MadeView {
    return {
      fd: view.fd,
      lengthBytes: view.lengthBytes,
      standing: view,
      hold: () => this.#held.hold(view),
      letGo: () => this.#held.letGo(view),
      used: () => this.#used(view),
      end: () => this.#end(view, 'changed'),
    };
  }

  #used(view: DiskView): void {
    if (view.isOver) return;
    this.#views.delete(view);
    this.#views.add(view);
    // Reads of the kernel are seen by nobody: without this the blocks would look unused.
    for (const entry of view.entries) entry.visited = true;
  }

  /** @returns why the view did not come to be; undefined: it is complete */
  async #fill(
    view: DiskView,
    steps: readonly CloneStep[],
    signal: AbortSignal,
  ): Promise<ViewRefusal | undefined> {
    try {
      for (const step of steps) {
        if (view.isOver || signal.aborted) return 'missing';
        if (!(await this.#clone(view, step, signal))) return 'missing';
      }
      await this.#during(view, 'ftruncate', this.#parts.calls.truncate(view.fd, view.lengthBytes));
      // A block that went meanwhile has ended the view.
      return view.isOver || signal.aborted ? 'missing' : undefined;
    } catch (error) {
      if (signal.aborted) return 'failed';
      this.#failed(view.disk, error);
      return 'failed';
    }
  }

  /** @returns false when the block is not there, or not good */
  async #clone(view: DiskView, step: CloneStep, signal: AbortSignal): Promise<boolean> {
    const { index, acquire, release, calls } = this.#parts;
    const entry = index.get(step.id);
    if (entry === undefined || entry.disk !== view.disk) return false;
    const file = await acquire(entry, signal);
    if (file === undefined) return false;
    if (entry.isGone || view.isOver) {
      release(file);
      return false;
    }
    this.#note(view, entry);
    const to = { fd: view.fd, offset: step.to };
    const cloning = calls
      .cloneRange({ fd: file.fd, ...step.from }, to)
      .finally(() => release(file));
    await this.#during(view, `clone of block ${step.id}`, cloning, signal);
    this.#metrics.clonedBytes.add(step.from.length);
    return true;
  }

  /** Waits for a call. The descriptor outlives it, also when nobody waits for it any more. */
  async #during(
    view: DiskView,
    what: string,
    call: Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<void> {
    view.users += 1;
    const settled = () => this.#leave(view);
    call.then(settled, settled);
    await view.disk.io.answered(what, call, signal);
  }

  #note(view: DiskView, entry: DiskEntry): void {
    view.entries.add(entry);
    const views = this.#byEntry.get(entry) ?? new Set();
    this.#byEntry.set(entry, views);
    views.add(view);
  }

  #failed({ directory }: CacheDisk, error: unknown): void {
    this.#parts.log.warn({ err: error, directory }, 'a view could not be made');
  }

  #add(view: DiskView): void {
    this.#views.add(view);
    // Once for the tier, once for who makes it.
    view.users += 1;
    this.#metrics.views.add(1);
    this.#metrics.bytes.add(view.lengthBytes);
  }

  /** @param why - undefined: it never came to be */
  #end(view: DiskView, why: ViewEnd | undefined): void {
    if (view.isOver) return;
    view.isOver = true;
    this.#views.delete(view);
    for (const entry of view.entries) {
      const views = this.#byEntry.get(entry);
      views?.delete(view);
      if (views?.size === 0) this.#byEntry.delete(entry);
    }
    this.#metrics.views.add(-1);
    this.#metrics.bytes.add(-view.lengthBytes);
    if (why !== undefined && view.isMade) this.#metrics.ended(why);
    this.#leave(view);
  }

  #leave(view: DiskView): void {
    view.users -= 1;
    if (view.users > 0) return;
    const { log } = this.#parts;
    const closing = view.disk.io
      .close(view.fd)
      .catch((error: unknown) => log.warn({ err: error }, 'a view did not close'))
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** @returns whether one more view may be made */
  #makePlace(): boolean {
    if (this.#views.size < this.#parts.viewsMax) return true;
    for (const view of this.#views) {
      if (view.isHeld || !view.isMade) continue;
      this.#end(view, 'place');
      return true;
    }
    return false;
  }

  async #create(disk: CacheDisk, lengthBytes: number): Promise<DiskView | undefined> {
    try {
      const view = new DiskView(disk, { fd: await this.#nameless.make(disk), lengthBytes });
      this.#add(view);
      return view;
    } catch (error) {
      this.#failed(disk, error);
      return undefined;
    }
  }
}
