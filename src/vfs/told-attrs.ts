import { type Attr, sameTime } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';

/** What tells whether the kernel believes something else. */
type Seen = Pick<Attr, 'length' | 'mtime' | 'ctime'>;

interface Told {
  /** Undefined: one of several. */
  readonly attr: Seen | undefined;
  readonly untilMs: number;
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
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;
  #sweepAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param options - `timeoutMs`: the kernel's attribute time-out; `max`: inodes remembered;
   *   `catchUp`: called before anything depends on the order in which the kernel was told, so that
   *   {@link noteEarlier} can be called for what another thread has told it
   */
  constructor(options: { clock: Clock; timeoutMs: number; max: number; catchUp?: () => void }) {
    this.#catchUp = options.catchUp ?? (() => undefined);
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#max = options.max;
  }

  /** The kernel is about to get this attribute. */
  note(ino: Ino, attr: Seen): void {
    this.#catchUp();
    this.noteEarlier(ino, attr);
  }

  /** The kernel has got this attribute from another thread. */
  noteEarlier(ino: Ino, attr: Seen): void {
    if (this.#timeoutMs <= 0) return;
    const nowMs = this.#clock.nowMs();
    const before = this.#told.get(ino);
    // A reply may be lost on its way (its reader was interrupted, the page of a listing was full):
    // then what the kernel was told before still counts.
    const isOne = before === undefined || before.untilMs <= nowMs || isSame(before.attr, attr);
    this.#told.delete(ino);
    const untilMs = nowMs + this.#timeoutMs + SLACK_MS;
    this.#told.set(ino, { attr: isOne ? attr : undefined, untilMs });
    if (this.#told.size <= this.#max && nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_MS;
    for (const [oldest, { untilMs }] of this.#told) {
      if (untilMs > nowMs) {
        if (this.#told.size <= this.#max) return;
        this.#forgottenUntilMs = untilMs;
      }
      this.#told.delete(oldest);
    }
  }

  /** Whether the kernel may believe something else than `attr` of the inode. */
  mayDiffer(ino: Ino, attr: Seen): boolean {
    this.#catchUp();
    const nowMs = this.#clock.nowMs();
    const told = this.#told.get(ino);
    if (told === undefined) return nowMs < this.#forgottenUntilMs;
    return told.untilMs > nowMs && !isSame(told.attr, attr);
  }

  /** The kernel was told to forget the inode's attribute. */
  forget(ino: Ino): void {
    this.#told.delete(ino);
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
