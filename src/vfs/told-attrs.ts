import { type Attr, sameTime } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';

/** What tells whether the kernel believes something else. */
type Seen = Pick<Attr, 'length' | 'mtime' | 'ctime'>;

interface Told {
  /** Undefined: one of several. */
  readonly attr: Seen | undefined;
  readonly untilMs: number;
  /** The same if it was told for as long as usual only. */
  readonly usualUntilMs: number;
}

/** The kernel's time-out begins when it has read the reply, a little after we note it. */
const SLACK_MS = 1_000;
/** What has expired goes this often: looking at a map's first entry costs more the more before it went. */
const SWEEP_MS = 250;

/**
 * Remembers which attributes the kernel may still believe, so that an open which finds a file
 * changed can tell the kernel to ask again: it would use the old length until its time-out.
 */
export class ToldAttrs {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #max: number;
  readonly #catchUp: () => void;
  /** By time; the oldest first. */
  readonly #told = new Map<Ino, Told>();
  /** The same for those that it was told to believe for longer. No inode is in both. */
  readonly #held = new Map<Ino, Told>();
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;
  #sweepAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param options - `timeoutMs`: the kernel's usual attribute time-out; `max`: inodes remembered;
   *   `catchUp`: called before anything depends on the order in which the kernel was told, so that
   *   {@link noteEarlier} can be called for what another thread has told it
   */
  constructor(options: { clock: Clock; timeoutMs: number; max: number; catchUp?: () => void }) {
    this.#catchUp = options.catchUp ?? (() => undefined);
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#max = options.max;
  }

  /**
   * The kernel is about to get this attribute.
   *
   * @param timeoutMs - how long it may believe it; counts when it is longer than usual
   */
  note(ino: Ino, attr: Seen, timeoutMs?: number): void {
    this.#catchUp();
    this.noteEarlier(ino, attr, timeoutMs);
  }

  /** The kernel has got this attribute from another thread. @param timeoutMs - see {@link note} */
  noteEarlier(ino: Ino, attr: Seen, timeoutMs = 0): void {
    if (this.#timeoutMs <= 0) return;
    const nowMs = this.#clock.nowMs();
    const before = this.#find(ino);
    // A reply may be lost on its way (its reader was interrupted, the page of a listing was full):
    // then what the kernel was told before still counts, and for as long.
    const counts = before !== undefined && before.untilMs > nowMs;
    const isOne = !counts || isSame(before.attr, attr);
    const isHeld = timeoutMs > this.#timeoutMs || (counts && this.#held.has(ino));
    const keepMs = Math.max(timeoutMs, this.#timeoutMs) + SLACK_MS;
    const untilMs = Math.max(nowMs + keepMs, counts ? before.untilMs : 0);
    this.forget(ino);
    const usualUntilMs = nowMs + this.#timeoutMs + SLACK_MS;
    const told = { attr: isOne ? attr : undefined, untilMs, usualUntilMs };
    (isHeld ? this.#held : this.#told).set(ino, told);
    const size = Math.max(this.#told.size, this.#held.size);
    if (size <= this.#max && nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_MS;
    this.#sweep(this.#told, nowMs);
    this.#sweep(this.#held, nowMs);
  }

  #sweep(told: Map<Ino, Told>, nowMs: number): void {
    for (const [oldest, { untilMs }] of told) {
      if (untilMs > nowMs) {
        if (told.size <= this.#max) return;
        this.#forgottenUntilMs = Math.max(this.#forgottenUntilMs, untilMs);
      }
      told.delete(oldest);
    }
  }

  #find(ino: Ino): Told | undefined {
    return this.#told.get(ino) ?? this.#held.get(ino);
  }

  /** Whether the kernel may believe something else than `attr` of the inode. */
  mayDiffer(ino: Ino, attr: Seen): boolean {
    this.#catchUp();
    const nowMs = this.#clock.nowMs();
    const told = this.#find(ino);
    if (told === undefined) return nowMs < this.#forgottenUntilMs;
    return told.untilMs > nowMs && !isSame(told.attr, attr);
  }

  /** What the kernel held of the inode for longer than usual was taken back for certain. */
  tookBack(ino: Ino): void {
    const held = this.#held.get(ino);
    if (held === undefined) return;
    this.#held.delete(ino);
    this.#told.set(ino, { ...held, untilMs: held.usualUntilMs });
  }

  /** The kernel was told to forget the inode's attribute. */
  forget(ino: Ino): void {
    this.#told.delete(ino);
    this.#held.delete(ino);
  }
}

function isSame(one: Seen | undefined, other: Seen): boolean {
  return (
    one !== undefined &&
    one.length === other.length &&
    sameTime(one.mtime, other.mtime) &&
    sameTime(one.ctime, other.ctime)
  );
}
