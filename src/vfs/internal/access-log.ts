import { FsError } from '../../posix/errno.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import { type AccessEntry, accessLine } from './access-line.ts';

/** Lines that wait for one reader; more are dropped. JuiceFS has the same. */
const LINES_MAX = 10_240;
/** A read without any line ends after this with a line that says nothing, as in JuiceFS. */
const WAIT_MS = 1_000;
const NOTHING = Buffer.from('#\n');
/** Handles that read the log at once. */
const READERS_MAX = 64;

/** Lines for one open handle. */
export class AccessLogReader {
  readonly #clock: Clock;
  readonly #dropped: Counter;
  readonly #lines: Buffer[] = [];
  #wake: (() => void) | undefined;

  constructor(clock: Clock, dropped: Counter) {
    this.#clock = clock;
    this.#dropped = dropped;
  }

  /** One more line; dropped and counted when too many wait. */
  push(line: Buffer): void {
    if (this.#lines.length >= LINES_MAX) {
      this.#dropped.add();
      return;
    }
    this.#lines.push(line);
    this.#wake?.();
  }

  /**
   * Lines as they come: resolves when `length` bytes are there, or after a second with what is.
   *
   * @throws the signal's reason when aborted; no line is lost then
   */
  async read(length: number, signal: AbortSignal): Promise<Uint8Array> {
    const untilMs = this.#clock.nowMs() + WAIT_MS;
    while (this.#available() < length) {
      const leftMs = untilMs - this.#clock.nowMs();
      if (leftMs <= 0) break;
      await this.#more(leftMs, signal);
    }
    if (this.#lines.length === 0) return NOTHING.subarray(0, length);
    const all = Buffer.concat(this.#lines.splice(0));
    // The rest of a line that does not fit stands first the next time.
    if (all.byteLength > length) this.#lines.push(all.subarray(length));
    return all.subarray(0, length);
  }

  #available(): number {
    return this.#lines.reduce((sum, line) => sum + line.byteLength, 0);
  }

  #more(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        this.#wake = undefined;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        done();
      };
      const onAbort = () => settle(() => reject(abortReason(signal)));
      const timer = this.#clock.setTimer(timeoutMs, () => settle(resolve));
      this.#wake = () => settle(resolve);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** The live log of operations behind `.accesslog`. Costs nothing while nobody has it open. */
export class AccessLog {
  readonly #clock: Clock;
  readonly #dropped: Counter;
  readonly #readers = new Set<AccessLogReader>();
  readonly #onWatched: (watched: boolean) => void;

  /** @param onWatched - told when the first reader comes and when the last has gone */
  constructor(options: {
    clock: Clock;
    metrics: Metrics;
    onWatched: (watched: boolean) => void;
  }) {
    this.#clock = options.clock;
    this.#onWatched = options.onWatched;
    const help = 'Lines of the access log that its readers were too slow for';
    this.#dropped = options.metrics.counter({ name: 'accesslog_dropped_lines', help });
  }

  /** Whether anybody reads. */
  get isWatched(): boolean {
    return this.#readers.size > 0;
  }

  /** @throws FsError ENFILE when too many read */
  open(): AccessLogReader {
    if (this.#readers.size >= READERS_MAX) throw new FsError('ENFILE', 'the access log is busy');
    const reader = new AccessLogReader(this.#clock, this.#dropped);
    this.#readers.add(reader);
    if (this.#readers.size === 1) this.#onWatched(true);
    return reader;
  }

  close(reader: AccessLogReader): void {
    if (this.#readers.delete(reader) && this.#readers.size === 0) this.#onWatched(false);
  }

  /** Tells all readers of an operation. */
  record(entry: Omit<AccessEntry, 'wallMs'>): void {
    if (!this.isWatched) return;
    const line = Buffer.from(accessLine({ ...entry, wallMs: this.#clock.wallMs() }));
    for (const reader of this.#readers) reader.push(line);
  }
}
