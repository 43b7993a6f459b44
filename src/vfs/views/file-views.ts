import type { BlockKey } from '../../block/block-key.ts';
import type { FileView, ViewMaker, ViewRefusal } from '../../mesh/local-views.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortable } from '../../runtime/abortable.ts';
import { abortReason, settlesWithin, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import type { FileVersion } from '../file-version.ts';
import type { OpenFile } from '../open-file.ts';
import type { PlanCache } from '../plan-cache.ts';
import { filePartsOf } from './file-parts.ts';

/** So often the same content is opened before a view of it is made unasked. */
const OPENS_LEAST = 2;
/** Views are made one after the other: the disk and this thread have other things to do. */
const AT_ONCE = 1;
/** Files that wait for their view, warming up included. */
const WAITING_MAX = 1024;
/** A view of a file of some hundred GB, whose blocks all have to be checked first, takes minutes. */
const MAKE_TIMEOUT_MS = 30 * 60_000;
/** Blocks that came just before are on the disk after this, if it keeps up. */
const WRITTEN_MS = 5_000;
/** Until it is tried again at an open, by what was in the way. */
const RETRY_MS: Readonly<Record<ViewMiss, number>> = {
  missing: 2_000,
  full: 60_000,
  failed: 60_000,
  changed: 2_000,
  // Slices that are rewritten as one fit, and the version stays.
  unaligned: 600_000,
  // Nothing that comes later makes these fit.
  large: Number.POSITIVE_INFINITY,
  unable: Number.POSITIVE_INFINITY,
};

/** Why a file has no view. `large`: it has too many parts or chunks; `changed`: while it was made. */
export type ViewMiss = ViewRefusal | 'large' | 'changed';

/** What {@link FileViews} work with. */
export interface FileViewsParts {
  readonly maker: ViewMaker;
  readonly plans: PlanCache;
  readonly blockBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface State {
  opens: number;
  view: FileView | undefined;
  making: Promise<FileView | ViewMiss> | undefined;
  retryAtMs: number;
}

/**
 * Views of files of several blocks, each of one content of its file: it ends when the file changes. One is
 * made behind the scenes at the second open of a content, if all its blocks lie on this node's disk.
 */
export class FileViews {
  readonly #parts: FileViewsParts;
  readonly #states = new Map<FileVersion, State>();
  readonly #places = new Semaphore(AT_ONCE, WAITING_MAX);
  readonly #stopping = new AbortController();
  readonly #count: (outcome: ViewMiss | 'made') => void;
  #onMade: (file: OpenFile) => void = () => undefined;

  constructor(parts: FileViewsParts) {
    this.#parts = parts;
    const help =
      'Attempts to put a file together for the kernel to read by itself, by what became of them';
    this.#count = (outcome) => {
      const labels = { outcome };
      parts.metrics.counter({ name: 'fuse_passthrough_views_total', help, labels }).add();
    };
  }

  /** Why there are no views at all; undefined: there can be. */
  get unfit(): string | undefined {
    return this.#parts.maker.unfit;
  }

  /** So many there can be. */
  get most(): number {
    return this.#parts.maker.most;
  }

  /** Waits for blocks that are on their way to the disk; not for long, as others follow. Does not reject. */
  async written(): Promise<void> {
    const { maker, clock } = this.#parts;
    await settlesWithin(maker.written(), clock, WRITTEN_MS);
  }

  /** @param onMade - hears of files that have a view from now on */
  onMade(onMade: (file: OpenFile) => void): void {
    this.#onMade = onMade;
  }

  /** The view of a content, as long as it is good. */
  of(version: FileVersion): FileView | undefined {
    const view = this.#states.get(version)?.view;
    return view?.standing.isGood === true ? view : undefined;
  }

  /** A file was opened for reading. Its view may be made because of that. */
  opened(file: OpenFile): void {
    const { version } = file;
    const { blockBytes, maker, clock } = this.#parts;
    if (version.lengthBytes <= blockBytes || !version.isSteady) return;
    if (maker.unfit !== undefined) return;
    const state = this.#stateOf(version);
    state.opens += 1;
    if (state.view?.standing.isGood === true) state.view.used();
    else if (isDue(state, clock.nowMs())) this.#begin(file);
  }

  #begin(file: OpenFile): void {
    void this.make(file, this.#stopping.signal).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return;
      const fields = { ino: String(file.ino), error: String(error) };
      this.#parts.logger.debug(fields, 'a view of a file was not made');
    });
  }

  /**
   * The view of the file's present content, made when there is none.
   *
   * @throws what reading the metadata throws; DeadlineError; the signal's reason when aborted
   */
  async make(file: OpenFile, signal: AbortSignal): Promise<FileView | ViewMiss> {
    if (signal.aborted) throw abortReason(signal);
    const { version } = file;
    const known = this.of(version);
    if (known !== undefined) {
      known.used();
      return known;
    }
    if (!version.isSteady) return 'changed';
    const state = this.#stateOf(version);
    // Who joins lives with the end of the first one's signal: a warm-up then fails for this file.
    state.making ??= this.#make(file, state, signal).finally(() => {
      state.making = undefined;
    });
    return await abortable(state.making, signal);
  }

  /** A content is over, or forgotten. */
  ended(version: FileVersion): void {
    const state = this.#states.get(version);
    if (state === undefined) return;
    this.#states.delete(version);
    state.view?.end();
  }

  /** Makes no more views, and ends those that there are. */
  stop(): void {
    this.#stopping.abort(new Error('the mount ends'));
    for (const version of [...this.#states.keys()]) this.ended(version);
  }

  async #make(file: OpenFile, state: State, signal: AbortSignal): Promise<FileView | ViewMiss> {
    const { clock } = this.#parts;
    const { version } = file;
    let outcome: FileView | ViewMiss = 'failed';
    try {
      const wait = { what: `view of inode ${file.ino}`, timeoutMs: MAKE_TIMEOUT_MS, signal };
      outcome = await withDeadline(clock, wait, (timed) =>
        this.#places.run(() => this.#assemble(version, timed), timed),
      );
    } finally {
      const miss = typeof outcome === 'string' ? outcome : undefined;
      this.#count(miss ?? 'made');
      if (miss !== undefined) state.retryAtMs = clock.nowMs() + RETRY_MS[miss];
    }
    if (typeof outcome === 'string') return outcome;
    if (this.#states.get(version) !== state) {
      outcome.end();
      return 'changed';
    }
    // One that its disk did not answer for may be good again: nobody would end it any more.
    state.view?.end();
    state.view = outcome;
    this.#onMade(file);
    return outcome;
  }

  /** A view that comes when nobody waits for it any more is ended. */
  async #assemble(version: FileVersion, signal: AbortSignal): Promise<FileView | ViewMiss> {
    const { maker, plans, blockBytes } = this.#parts;
    if (!version.isSteady) return 'changed';
    const holds = (key: BlockKey) => maker.holds(key);
    const parts = await filePartsOf(version, { plans, blockBytes, holds }, signal);
    if (typeof parts === 'string') return parts;
    const made = await maker.make({ lengthBytes: version.lengthBytes, parts }, signal);
    if (typeof made === 'string') return made;
    const isWanted = version.isSteady && !signal.aborted && !this.#stopping.signal.aborted;
    if (isWanted) return made;
    made.end();
    if (signal.aborted) throw abortReason(signal);
    return 'changed';
  }

  #stateOf(version: FileVersion): State {
    const known = this.#states.get(version);
    if (known !== undefined) return known;
    const state = { opens: 0, view: undefined, making: undefined, retryAtMs: 0 };
    this.#states.set(version, state);
    return state;
  }
}

function isDue({ opens, making, retryAtMs }: State, nowMs: number): boolean {
  return opens >= OPENS_LEAST && making === undefined && nowMs >= retryAtMs;
}
