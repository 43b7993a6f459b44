import { CHANGES_SILENCE_MAX_MS } from '../../meta/change-stream.ts';

/** Words before the marks. */
const ALIVE = 0;
const ALIVE_SINCE = 1;
const PROVEN = 2;
const ATTR_ROOM = 3;
const NAME_ROOM = 4;
const KEEP_MS = 5;
const HEADER_WORDS = 16;
/** Inodes with the same mark only lose time-outs to each other. 2^17 cost half a megabyte. */
const MARKS = 2 ** 17;
/** What a unit of the words' times is. They can be compared as long as they are 2^31 units apart, 4 years. */
const UNIT_MS = 64;
/** A day. */
const KEEP_MS_MAX = 86_400_000;
/** In the beginning everything was changed so long ago. */
const LONG_AGO_MS = 3_600_000;

/**
 * An inode or a directory is quiet when it was not changed for so long. What changes more often is not
 * worth to be held and taken back; and a request that took longer may have missed a change.
 */
export const QUIET_MS = 2_000;
/** Names of a directory go all at once, so they have to be quiet for longer. */
export const QUIET_NAMES_MS = 5_000;

/** Whose answer is to be held, as two 32-bit words of the volume's inode. */
export interface MarkedIno {
  readonly low: number;
  readonly high: number;
}

/**
 * When what was changed last, by a hash of its inode, and whether that is known at all: in shared
 * memory, written by the main thread. All times are those of the machine's monotonic clock.
 *
 * An answer may be held by the kernel when the stream of changes is alive and was when the answer was
 * asked for, and no change was heard of since. A change that is heard of later finds the answer noted.
 */
export class ChangeMarks {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
  }

  static create(nowMs: number): ChangeMarks {
    const marks = new ChangeMarks(new SharedArrayBuffer((HEADER_WORDS + MARKS) * 4));
    marks.#words.fill(toUnits(nowMs - LONG_AGO_MS), HEADER_WORDS);
    return marks;
  }

  /** The same marks in another thread. */
  static attach(shared: SharedArrayBuffer): ChangeMarks {
    return new ChangeMarks(shared);
  }

  /** Main thread: how long what is held is believed at most. */
  setKeepMs(keepMs: number): void {
    Atomics.store(this.#words, KEEP_MS, Math.min(keepMs, KEEP_MS_MAX));
  }

  get keepMs(): number {
    return Atomics.load(this.#words, KEEP_MS);
  }

  /** Main thread: something of the inode has changed. */
  mark(ino: MarkedIno, nowMs: number): void {
    Atomics.store(this.#words, slotOf(ino), toUnits(nowMs));
  }

  /** Main thread: all changes that were confirmed before `atMs` were marked. */
  prove(atMs: number, nowMs: number): void {
    Atomics.store(this.#words, PROVEN, toUnits(atMs));
    if (Atomics.load(this.#words, ALIVE) === 1) return;
    // Rounded up: what was asked for within this unit may have been answered before.
    Atomics.store(this.#words, ALIVE_SINCE, toUnits(nowMs + UNIT_MS));
    Atomics.store(this.#words, ALIVE, 1);
  }

  /** Main thread: changes may have been missed. */
  lose(): void {
    Atomics.store(this.#words, ALIVE, 0);
  }

  /** Main thread: whether more can be held. */
  setRoom(room: { attrs: boolean; names: boolean }): void {
    Atomics.store(this.#words, ATTR_ROOM, room.attrs ? 1 : 0);
    Atomics.store(this.#words, NAME_ROOM, room.names ? 1 : 0);
  }

  /** Whether an attribute that was asked for at `askedMs` may be held. */
  mayHoldAttr(ino: MarkedIno, askedMs: number, nowMs: number): boolean {
    return (
      Atomics.load(this.#words, ATTR_ROOM) === 1 &&
      this.#isCovered(askedMs, nowMs) &&
      this.#quietMs(ino, nowMs) > QUIET_MS
    );
  }

  /** Whether a name of a directory that was asked for at `askedMs` may be held. */
  mayHoldName(directory: MarkedIno, askedMs: number, nowMs: number): boolean {
    return (
      Atomics.load(this.#words, NAME_ROOM) === 1 &&
      this.#isCovered(askedMs, nowMs) &&
      this.#quietMs(directory, nowMs) > QUIET_NAMES_MS
    );
  }

  /** Whether all changes that were confirmed a second before `nowMs` have been heard of. */
  isAlive(nowMs: number): boolean {
    if (Atomics.load(this.#words, ALIVE) === 0) return false;
    const proven = Atomics.load(this.#words, PROVEN);
    return unitsBetween(proven, toUnits(nowMs)) * UNIT_MS <= CHANGES_SILENCE_MAX_MS;
  }

  /** Whether every change since `askedMs` would have left a mark that is still new. */
  #isCovered(askedMs: number, nowMs: number): boolean {
    if (nowMs - askedMs > QUIET_MS - UNIT_MS || !this.isAlive(nowMs)) return false;
    // It may be ahead by the unit that it was rounded up.
    const since = Atomics.load(this.#words, ALIVE_SINCE);
    return ((toUnits(askedMs) - since) | 0) >= 0;
  }

  #quietMs(ino: MarkedIno, nowMs: number): number {
    return unitsBetween(Atomics.load(this.#words, slotOf(ino)), toUnits(nowMs)) * UNIT_MS;
  }
}

/** @returns units modulo 2^32 as a signed word */
function toUnits(ms: number): number {
  return Math.floor(ms / UNIT_MS) | 0;
}

/** @returns 0 when the clock of the thread that wrote `from` was a little ahead */
function unitsBetween(from: number, to: number): number {
  return Math.max(0, (to - from) | 0);
}

/** Mixes both words, so that neighbours spread. @see MurmurHash3 */
function slotOf({ low, high }: MarkedIno): number {
  let hash = Math.imul(low ^ Math.imul(high, 0x9e37_79b1), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  hash ^= hash >>> 16;
  return HEADER_WORDS + (hash & (MARKS - 1));
}
