import { EntryList } from './entry-list.ts';
import { Ghosts } from './ghosts.ts';
import type { EvictionPolicy, EvictionProbe, PolicyEntry } from './policy.ts';
import { SWEEP_MAX } from './policy.ts';

/** Share of the bytes in which uses of an entry still count as the one that brought it. */
const FRESH_SHARE = 0.05;
/** Share of the bytes, fresh ones included, in which an entry has to be used again to stay. */
const TRIAL_SHARE = 0.1;
/** Fewer entries than this are never too many on trial: read-ahead must survive until it is read. */
const TRIAL_BLOCKS_MIN = 4;
/** The mark that {@link SteadyPolicy} grows against falls by this share of what is evicted. */
const PEAK_DECAY = 1 / 64;
/** Every so many evictions from trial one entry is admitted to the steady set untried. */
const ADMIT_EVERY = 32;
/** What comes back is admitted when it was away for less than this share of the time that the next
 * victim of the main set has been idle. */
const RETURN_SHARE = 0.25;

/**
 * `steady`: keeps what is used again, and when nothing is, keeps a steady set instead of the latest.
 *
 * A new entry is first fresh, then on trial, both first-in-first-out. A use while it is fresh is
 * the tail of the one that brought it (a block is read in many pieces, or was read ahead) and is
 * forgotten; a use while it is on trial admits it to the main set, and so does coming back soon
 * after it was evicted. The main set is swept as SIEVE does: a hand goes from old to new, spares
 * and unmarks what was used, and takes what was not.
 *
 * Training reads every sample once per epoch, so with a dataset larger than the cache everything
 * looks equally old, and a cache that always makes room for the newest has thrown out each sample
 * before it comes again. Here newcomers mostly displace newcomers; one in {@link ADMIT_EVERY} is
 * admitted untried, slowly enough for a set that gets hits to defend itself, and fast enough for a
 * set that gets none to be replaced. docs/cache-policy.md has the measurements.
 */
export class SteadyPolicy<E extends PolicyEntry> implements EvictionPolicy<E> {
  readonly #probe: EvictionProbe<E>;
  readonly #fresh = new EntryList<E>(1);
  readonly #trial = new EntryList<E>(2);
  readonly #main = new EntryList<E>(3);
  readonly #ghosts = new Ghosts();
  /** Next entry of the main set to be looked at; undefined: begin at its tail. */
  #hand: E | undefined = undefined;
  /**
   * Where the sweep ends: the newest entry when it began. Without it the hand, once at the head,
   * would follow the newcomers for ever and never take the old ones, which all look used.
   */
  #sweepEnd: E | undefined = undefined;
  #evictedFromTrial = 0;
  /** Most bytes that were held, slowly forgotten. */
  #peakBytes = 0;

  constructor(probe: EvictionProbe<E>) {
    this.#probe = probe;
  }

  get blocks(): number {
    return this.#fresh.length + this.#trial.length + this.#main.length;
  }

  get bytes(): number {
    return this.#fresh.bytes + this.#trial.bytes + this.#main.bytes;
  }

  insert(entry: E): void {
    entry.seenAt = this.#probe.now();
    const usedAt = this.#ghosts.take(entry.hash);
    if (usedAt !== undefined && this.#isWorthMore(usedAt)) this.#main.push(entry);
    else this.#fresh.push(entry);
    this.#settle();
  }

  remove(entry: E, evicted: boolean): void {
    if (this.#main.has(entry)) {
      if (this.#hand === entry) this.#advance(entry);
      if (this.#sweepEnd === entry) this.#sweepEnd = entry.next;
      this.#main.remove(entry);
    } else {
      (this.#trial.has(entry) ? this.#trial : this.#fresh).remove(entry);
      if (evicted) this.#evictedFromTrial += 1;
    }
    if (!evicted) return;
    this.#ghosts.add(entry.hash, entry.seenAt, this.blocks);
    this.#peakBytes = Math.max(this.bytes, this.#peakBytes - entry.sizeBytes * PEAK_DECAY);
  }

  victim(): E | undefined {
    return this.#trialVictim() ?? this.#mainVictim() ?? firstUnpinned(this.#probe, this.#lists());
  }

  /** Whether what was used at `usedAt` and is asked for again displaces the main set's next victim. */
  #isWorthMore(usedAt: number): boolean {
    const victim = this.#mainVictim();
    if (victim === undefined) return true;
    const now = this.#probe.now();
    return now - usedAt < (now - victim.seenAt) * RETURN_SHARE;
  }

  #lists(): readonly EntryList<E>[] {
    return [this.#trial, this.#fresh, this.#main];
  }

  /**
   * Moves what is no longer fresh to the trial, and, while the cache still grows, what the trial
   * has no room for to the main set: with room for all there is nothing to decide.
   */
  #settle(): void {
    const freshMax = Math.max(this.bytes * FRESH_SHARE, this.#fresh.head?.sizeBytes ?? 0);
    while (this.#fresh.bytes > freshMax) {
      const oldest = this.#fresh.tail as E;
      this.#fresh.remove(oldest);
      if (this.#probe.takeVisited(oldest)) oldest.seenAt = this.#probe.now();
      this.#trial.push(oldest);
    }
    while (this.bytes > this.#peakBytes) {
      const oldest = this.#trial.tail;
      this.#peakBytes += oldest?.sizeBytes ?? this.bytes;
      if (oldest === undefined || !this.#trialIsFull()) continue;
      this.#trial.remove(oldest);
      this.#main.push(oldest);
    }
  }

  #trialIsFull(): boolean {
    if (this.#trial.length + this.#fresh.length <= TRIAL_BLOCKS_MIN) return false;
    return this.#trial.bytes + this.#fresh.bytes > this.bytes * TRIAL_SHARE;
  }

  #trialVictim(): E | undefined {
    let entry = this.#trial.tail;
    for (let step = 0; entry !== undefined && step < SWEEP_MAX; step += 1) {
      if (!this.#trialIsFull() && this.#main.length > 0) return undefined;
      const newer = entry.previous;
      const isPinned = this.#probe.isPinned(entry);
      // What is held and used must not lie in the way of all that came after it.
      if (isPinned ? this.#isUsed(entry) : this.#admits(entry)) {
        this.#trial.remove(entry);
        this.#main.push(entry);
      } else if (!isPinned) return entry;
      entry = newer;
    }
    return undefined;
  }

  #isUsed(entry: E): boolean {
    const isUsed = this.#probe.takeVisited(entry);
    if (isUsed) entry.seenAt = this.#probe.now();
    return isUsed;
  }

  #admits(entry: E): boolean {
    if (this.#isUsed(entry)) return true;
    if (this.#evictedFromTrial < ADMIT_EVERY) return false;
    this.#evictedFromTrial = 0;
    return true;
  }

  #mainVictim(): E | undefined {
    const steps = 2 * this.#main.length;
    let spared = 0;
    for (let step = 0; step < steps && spared < SWEEP_MAX; step += 1) {
      const entry = this.#hand ?? this.#beginSweep();
      if (!this.#probe.isPinned(entry)) {
        if (!this.#probe.takeVisited(entry)) {
          this.#hand = entry;
          return entry;
        }
        entry.seenAt = this.#probe.now();
        spared += 1;
      }
      this.#advance(entry);
    }
    return undefined;
  }

  #beginSweep(): E {
    this.#sweepEnd = this.#main.head;
    return this.#main.tail as E;
  }

  #advance(from: E): void {
    this.#hand = from === this.#sweepEnd ? undefined : from.previous;
  }
}

/** The oldest entry that may go at all, used or not. */
function firstUnpinned<E extends PolicyEntry>(
  probe: EvictionProbe<E>,
  lists: readonly EntryList<E>[],
): E | undefined {
  for (const list of lists) {
    for (let entry = list.tail; entry !== undefined; entry = entry.previous) {
      if (!probe.isPinned(entry)) return entry;
    }
  }
  return undefined;
}
