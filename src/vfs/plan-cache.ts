import { type Piece, resolveSlices } from '../block/read-plan.ts';
import type { SliceRecord } from '../block/slice-record.ts';
import type { MetaReader } from '../meta/engine.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { abortable } from '../runtime/abortable.ts';
import type { CachedPlan, FileVersion } from './file-version.ts';

/** What the cache is made of. */
export interface PlanCacheOptions {
  readonly meta: MetaReader;
  readonly clock: Clock;
  /** Pieces kept, of all plans together. A plan without pieces counts as one. */
  readonly piecesMax: number;
  /** Bound of one request for a slice list. */
  readonly timeoutMs: number;
  /** Told of each slice list that was asked for, and of the pieces that it makes. */
  readonly onLoaded?: (
    at: { readonly ino: Ino; readonly index: number },
    records: readonly SliceRecord[],
    pieces: readonly Piece[],
  ) => void;
}

/** Reading plans of chunks, per content version, in bounded memory (least recently used goes). */
export class PlanCache {
  readonly #options: PlanCacheOptions;
  /** Least recently used first. */
  readonly #kept = new Set<CachedPlan>();
  readonly #loading = new Map<string, Promise<readonly Piece[]>>();
  #pieces = 0;

  constructor(options: PlanCacheOptions) {
    this.#options = options;
  }

  /** Pieces that are kept now. */
  get pieces(): number {
    return this.#pieces;
  }

  /** The plan of chunk `index`, if it is there. */
  cached(version: FileVersion, index: number): readonly Piece[] | undefined {
    const plan = version.plans.get(index);
    if (plan === undefined) return undefined;
    this.#kept.delete(plan);
    this.#kept.add(plan);
    return plan.pieces;
  }

  /**
   * The plan of chunk `index`, from the metadata when it is not there. Callers share requests.
   *
   * @throws MetaError, DeadlineError, FsError EBADF when the file is gone; the signal's reason when aborted
   */
  async load(version: FileVersion, index: number, signal: AbortSignal): Promise<readonly Piece[]> {
    const cached = this.cached(version, index);
    if (cached !== undefined) return cached;
    const name = loadName(version, index);
    const running = this.#loading.get(name) ?? this.#fetch(version, index, name);
    return abortable(running, signal);
  }

  /** Takes a plan that came with others. One that is there or being fetched stays. */
  put(version: FileVersion, index: number, pieces: readonly Piece[]): void {
    if (version.plans.has(index) || this.#loading.has(loadName(version, index))) return;
    this.#keep({ version, index, pieces });
  }

  /** Forgets one plan; a request for it that is under way will not be kept either. */
  drop(version: FileVersion, index: number): void {
    this.#loading.delete(loadName(version, index));
    const plan = version.plans.get(index);
    if (plan !== undefined) this.#remove(plan);
  }

  /** Forgets all plans of a version. */
  dropAll(version: FileVersion): void {
    for (const plan of version.plans.values()) this.#remove(plan);
  }

  #fetch(version: FileVersion, index: number, name: string): Promise<readonly Piece[]> {
    const { clock, timeoutMs, onLoaded } = this.#options;
    const what = `slices of chunk ${index} of inode ${version.ino}`;
    const loading = withDeadline(clock, { what, timeoutMs }, async (signal) => {
      const records = await this.#records(version, index, signal);
      const pieces = resolveSlices(records);
      onLoaded?.({ ino: version.ino, index }, records, pieces);
      if (this.#loading.get(name) === loading) this.#keep({ version, index, pieces });
      return pieces;
    });
    this.#loading.set(name, loading);
    const ended = () => {
      if (this.#loading.get(name) === loading) this.#loading.delete(name);
    };
    loading.then(ended, ended);
    return loading;
  }

  /** No list means zeros, but only as long as the file exists: its lists go with it. */
  async #records(version: FileVersion, index: number, signal: AbortSignal): Promise<SliceRecord[]> {
    const { meta } = this.#options;
    const { ino } = version;
    const records = await meta.readChunk(ino, index, signal);
    if (records.length === 0 && (await meta.getattr(ino, signal)) === undefined) {
      throw new FsError('EBADF', `inode ${ino} is gone`);
    }
    return records;
  }

  #keep(plan: CachedPlan): void {
    // Nobody asks again for a content that is over: its plan would only take room.
    if (!plan.version.current) return;
    const old = plan.version.plans.get(plan.index);
    if (old !== undefined) this.#remove(old);
    plan.version.plans.set(plan.index, plan);
    this.#kept.add(plan);
    this.#pieces += weightOf(plan);
    for (const oldest of this.#kept) {
      if (this.#pieces <= this.#options.piecesMax) return;
      this.#remove(oldest);
    }
  }

  #remove(plan: CachedPlan): void {
    if (!this.#kept.delete(plan)) return;
    plan.version.plans.delete(plan.index);
    this.#pieces -= weightOf(plan);
  }
}

function weightOf(plan: CachedPlan): number {
  return Math.max(1, plan.pieces.length);
}

function loadName(version: FileVersion, index: number): string {
  return `${version.fileId}/${index}`;
}
