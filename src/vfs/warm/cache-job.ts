import type { Piece } from '../../block/read-plan.ts';
import { resolveSlices } from '../../block/read-plan.ts';
import type { MetaReader } from '../../meta/engine.ts';
import { FileType } from '../../posix/attr.ts';
import { abortReason } from '../../runtime/deadline.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import type { Ticket } from '../open-file.ts';
import type { RootMap } from '../root-map.ts';
import { type BlockAction, blockAction, type BlockActionParts } from './block-actions.ts';
import type { CacheAction } from './cache-progress.ts';
import { CacheProgress } from './cache-progress.ts';
import { type CacheTarget, resolveTarget } from './cache-target.ts';
import { blocksOfChunk, chunkCount } from './file-blocks.ts';
import { type FoundNode, TreeWalk } from './tree-walk.ts';

/** Files whose slice lists are asked for at once. */
const FILES_AT_ONCE = 64;
/** Paths of a request that are looked up at once. */
const PATHS_AT_ONCE = 64;
/** Never reached: the walk has few places from which files come. */
const FILES_QUEUED_MAX = 10_000;
/** Files that are made ready at once, and those that wait for it before the walk waits with them. */
const PINS_AT_ONCE = 32;
const PINS_WAITING_MAX = 256;

/** Remembers metadata that a warm-up has seen, as far as there is room for it. */
export interface MetadataMemory {
  /** To be taken before a metadata request is made. */
  ticket(): Ticket;
  /** @returns the chunk's pieces through the cache of reading plans, or undefined without room there */
  pieces(
    node: FoundNode,
    index: number,
    signal: AbortSignal,
  ): Promise<readonly Piece[]> | undefined;
  /** Remembers a symlink's target. */
  symlink(node: FoundNode, signal: AbortSignal): Promise<void>;
}

/** What a {@link CacheJob} works with. */
export interface CacheJobParts extends Omit<BlockActionParts, 'progress'> {
  readonly action: CacheAction;
  readonly meta: MetaReader;
  readonly root: RootMap;
  readonly blockBytes: number;
  readonly memory: MetadataMemory;
  /** Undefined: the kernel reads nothing by itself. */
  readonly pins?: FilePins | undefined;
}

/** Makes files ready for the kernel to read them by itself. */
export interface FilePins {
  /** Why that cannot be done; undefined: it can. */
  readonly unfit: string | undefined;
  /**
   * Makes a file ready that has more than one block, all of which are here.
   *
   * @param before - files that the same job has made ready before
   * @throws what says why it has no view; the signal's reason when aborted
   */
  pin(node: FoundNode, before: number, signal: AbortSignal): Promise<void>;
}

interface Target {
  readonly target: CacheTarget;
  readonly ticket: Ticket;
}

/** Walks trees, finds the blocks of their files, and does one thing with each of them. */
export class CacheJob {
  readonly progress = new CacheProgress();
  readonly #parts: CacheJobParts;
  readonly #blocks: BlockAction;
  readonly #places = new Semaphore(FILES_AT_ONCE, FILES_QUEUED_MAX);
  readonly #planning = new Set<Promise<void>>();
  readonly #pinning = new Set<Promise<void>>();
  /** What waits is bounded by {@link #onNode}, and by the blocks under way. */
  readonly #pins = new Semaphore(PINS_AT_ONCE, Number.POSITIVE_INFINITY);
  /** Files that are ready, or are being made so. */
  #pinned = 0;

  constructor(parts: CacheJobParts) {
    this.#parts = parts;
    this.#blocks = blockAction(parts.action, { ...parts, progress: this.progress });
  }

  /**
   * @param paths - as {@link resolveTarget} understands them
   * @throws the signal's reason when aborted; anything else is a failure in the progress
   */
  async run(paths: readonly string[]): Promise<void> {
    const { memory, signal } = this.#parts;
    const targets = await this.#targets(paths);
    const walk = new TreeWalk(
      {
        ...this.#parts,
        ticket: () => memory.ticket(),
        onNode: (node) => this.#onNode(node),
        onError: (path, error) => {
          this.progress.pathsFailed += 1;
          this.progress.note(path, error);
        },
      },
      signal,
    );
    const directories: CacheTarget[] = [];
    for (const { target, ticket } of targets) {
      if (target.attr.type === FileType.directory) directories.push(target);
      else await this.#onNode({ ...target, ticket });
    }
    await walk.run(directories);
    this.progress.walked = true;
    await Promise.all(this.#planning);
    await this.#blocks.finish();
    await Promise.all(this.#pinning);
  }

  async #targets(paths: readonly string[]): Promise<Target[]> {
    const targets: Target[] = [];
    for (let at = 0; at < paths.length; at += PATHS_AT_ONCE) {
      const some = paths.slice(at, at + PATHS_AT_ONCE).map((path) => this.#target(path));
      targets.push(...(await Promise.all(some)).filter((target) => target !== undefined));
    }
    return targets;
  }

  async #target(path: string): Promise<Target | undefined> {
    const { meta, root, signal, memory } = this.#parts;
    const ticket = memory.ticket();
    try {
      return { target: await resolveTarget(meta, root, path, signal), ticket };
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      this.progress.pathsFailed += 1;
      this.progress.note(path, error);
      return undefined;
    }
  }

  async #onNode(node: FoundNode): Promise<void> {
    const { signal, action, memory } = this.#parts;
    if (node.attr.type === FileType.symlink && isWarming(action)) {
      await memory.symlink(node, signal).catch((error: unknown) => {
        if (signal.aborted) throw abortReason(signal);
        this.progress.note(node.path, error);
      });
    }
    if (node.attr.type !== FileType.file) return;
    this.progress.filesFound += 1;
    // Served in turn: those that wait by now come first.
    if (this.#pins.waiting > PINS_WAITING_MAX) await this.#pins.run(async () => undefined, signal);
    const leave = await this.#places.acquire(signal);
    const planning = this.#onFile(node)
      .catch((error: unknown) => {
        // An abort shows in whatever comes next.
        if (!signal.aborted) throw error;
      })
      .finally(() => {
        leave();
        this.#planning.delete(planning);
      });
    this.#planning.add(planning);
  }

  async #onFile(node: FoundNode): Promise<void> {
    const { signal } = this.#parts;
    const file = new OpenFile(node, this.progress, (done) => this.#pin(node, done));
    try {
      for (let index = 0; index < chunkCount(Number(node.attr.length)); index += 1) {
        await this.#onChunk(node, index, file);
      }
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      file.fail(error);
    }
    file.end();
  }

  /** All blocks of a file are dealt with. @param done - takes what went wrong after that */
  #pin(node: FoundNode, done: (error?: unknown) => void): void {
    const { action, pins, signal, blockBytes } = this.#parts;
    const isOneBlock = Number(node.attr.length) <= blockBytes;
    if (action !== 'pin' || pins === undefined || isOneBlock) {
      done();
      return;
    }
    const pinning = this.#pins
      .run(() => this.#makeReady(node, pins), signal)
      .then(() => done(), done)
      .finally(() => this.#pinning.delete(pinning));
    this.#pinning.add(pinning);
  }

  async #makeReady(node: FoundNode, pins: FilePins): Promise<void> {
    const before = this.#pinned;
    this.#pinned += 1;
    try {
      await pins.pin(node, before, this.#parts.signal);
      this.progress.views += 1;
    } catch (error) {
      this.#pinned -= 1;
      throw error;
    }
  }

  async #onChunk(node: FoundNode, index: number, file: OpenFile): Promise<void> {
    const { blockBytes } = this.#parts;
    const pieces = await this.#pieces(node, index);
    const length = { lengthBytes: Number(node.attr.length), index };
    const { keys, pieces: slices } = blocksOfChunk(pieces, length, blockBytes);
    const { progress } = this;
    progress.slicesFound += slices;
    progress.blocksFound += keys.length;
    progress.bytesFound += keys.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const key of keys) await this.#blocks.add(key, file.begin());
  }

  async #pieces(node: FoundNode, index: number): Promise<readonly Piece[]> {
    const { meta, signal, memory, action } = this.#parts;
    const remembered = isWarming(action) ? memory.pieces(node, index, signal) : undefined;
    if (remembered !== undefined) return remembered;
    return resolveSlices(await meta.readChunk(node.ino, index, signal));
  }
}

/** A file some of whose blocks are under way. */
class OpenFile {
  readonly #node: FoundNode;
  readonly #progress: CacheProgress;
  /** Blocks under way, and one for the planning. */
  #open = 1;
  #failed = false;
  readonly #finish: (done: (error?: unknown) => void) => void;

  /** @param finish - what is left to do when all blocks are there */
  constructor(
    node: FoundNode,
    progress: CacheProgress,
    finish: (done: (error?: unknown) => void) => void,
  ) {
    this.#node = node;
    this.#progress = progress;
    this.#finish = finish;
  }

  /** One more block is under way. @returns what ends it */
  begin(): (error: string | undefined) => void {
    this.#open += 1;
    return (error) => {
      if (error !== undefined) this.fail(error);
      this.end();
    };
  }

  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#progress.filesFailed += 1;
    this.#progress.note(this.#node.path, error);
  }

  /** A block, or the planning, is done. */
  end(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    const done = (error?: unknown) => {
      if (error !== undefined) this.fail(error);
      this.#progress.filesDone += 1;
    };
    if (this.#failed) done();
    else this.#finish(done);
  }
}

function isWarming(action: CacheAction): boolean {
  return action === 'warm' || action === 'pin';
}
