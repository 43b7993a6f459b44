import type { Attr } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import { MetaError } from '../meta/engine.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import type { Counter, Metrics } from '../runtime/metrics.ts';
import { shownAttr } from './open-file.ts';
import { type OpenFiles } from './open-files.ts';

/** So long the metadata may take to tell the attribute of an open file… */
const ANSWER_TIMEOUT_MS = 1_000;
/** …and so long when it was away a moment ago. */
const ANSWER_TIMEOUT_AWAY_MS = 50;
const AWAY_MS = 5_000;

/**
 * Attributes of files that are open, also while the metadata is away: what is known of the file then
 * has to do. The kernel asks for them before it reads on, so without this data that is cached could
 * not be read either. A handle promises nothing newer than its open; the next open asks in any case.
 */
export class OpenAttrs {
  readonly #files: OpenFiles;
  readonly #clock: Clock;
  readonly #ask: (ino: Ino, signal: AbortSignal) => Promise<Attr>;
  readonly #old: Counter;
  #awayUntilMs = Number.NEGATIVE_INFINITY;

  /** @param parts - `ask`: the attribute as the metadata has it */
  constructor(parts: {
    files: OpenFiles;
    clock: Clock;
    metrics: Metrics;
    ask: (ino: Ino, signal: AbortSignal) => Promise<Attr>;
  }) {
    this.#files = parts.files;
    this.#clock = parts.clock;
    this.#ask = parts.ask;
    this.#old = parts.metrics.counter({
      name: 'vfs_old_attrs',
      help: 'Attributes of open files told from memory while the metadata was away',
    });
  }

  /**
   * @returns the attribute, and whether it comes from memory
   * @throws what `ask` throws, unless the file is open and the metadata is away
   */
  async attrOf(ino: Ino, signal: AbortSignal): Promise<{ attr: Attr; isOld: boolean }> {
    const file = this.#files.find(ino);
    if (file === undefined || file.handles === 0) {
      return { attr: await this.#ask(ino, signal), isOld: false };
    }
    const isAway = this.#clock.nowMs() < this.#awayUntilMs;
    const timeoutMs = isAway ? ANSWER_TIMEOUT_AWAY_MS : ANSWER_TIMEOUT_MS;
    const wait = { what: `attribute of inode ${ino}`, timeoutMs, signal };
    try {
      const attr = await withDeadline(this.#clock, wait, (timed) => this.#ask(ino, timed));
      this.#awayUntilMs = Number.NEGATIVE_INFINITY;
      return { attr, isOld: false };
    } catch (error) {
      if (signal.aborted || !saysAway(error)) throw error;
      this.#awayUntilMs = this.#clock.nowMs() + AWAY_MS;
      this.#old.add();
      return { attr: shownAttr(file), isOld: true };
    }
  }
}

function saysAway(error: unknown): boolean {
  return (
    error instanceof DeadlineError || (error instanceof MetaError && error.code === 'unavailable')
  );
}
