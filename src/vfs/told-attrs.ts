import { type Attr, sameTime } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';

interface Told {
  readonly attr: Attr;
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
  /** By time; the oldest first. */
  readonly #told = new Map<Ino, Told>();
  #forgottenUntilMs = Number.NEGATIVE_INFINITY;
  #sweepAtMs = Number.NEGATIVE_INFINITY;

  /** @param options - `timeoutMs`: the kernel's attribute time-out; `max`: inodes remembered */
  constructor(options: { clock: Clock; timeoutMs: number; max: number }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#max = options.max;
  }

  /** The kernel is about to get this attribute. */
  note(ino: Ino, attr: Attr): void {
    if (this.#timeoutMs <= 0) return;
    const nowMs = this.#clock.nowMs();
    this.#told.delete(ino);
    this.#told.set(ino, { attr, untilMs: nowMs + this.#timeoutMs + SLACK_MS });
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
  mayDiffer(ino: Ino, attr: Attr): boolean {
    const nowMs = this.#clock.nowMs();
    const told = this.#told.get(ino);
    if (told === undefined) return nowMs < this.#forgottenUntilMs;
    if (told.untilMs <= nowMs) return false;
    return !(
      told.attr.length === attr.length &&
      sameTime(told.attr.mtime, attr.mtime) &&
      sameTime(told.attr.ctime, attr.ctime)
    );
  }

  /** The kernel was told to forget the inode's attribute. */
  forget(ino: Ino): void {
    this.#told.delete(ino);
  }
}
