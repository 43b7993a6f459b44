import assert from 'node:assert/strict';
import type { DirectReads } from '../../meta/direct-reads.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import type { LossReason } from './shortcut-data.ts';
import { LineState, type Switchboard } from './switchboard.ts';

const CONNECT_TIMEOUT_MS = 3000;
const FIRST_PAUSE_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** A connection that lasted so long was not given up for what the server is. */
const GOOD_AFTER_MS = 10_000;
/** @see fcntl(2), open(2) */
const F_DUPFD_CLOEXEC = 1030;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;

/** What keeps lines connected. */
export interface LinesOptions {
  readonly direct: DirectReads;
  readonly libc: Libc;
  readonly switchboard: Switchboard;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Line {
  /** The same number all the time, whatever it leads to: threads may be about to use it. */
  readonly fd: number;
  pauseMs: number;
  connectedMs: number;
  timer: Timer | undefined;
}

/** The connections of the shortcut: made, and made again when they were given up. */
export class Lines {
  readonly #options: LinesOptions;
  readonly #lines: readonly Line[];
  readonly #stopping = new AbortController();
  readonly #failed: Counter;

  /** @param count - connections */
  constructor(count: number, options: LinesOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#failed = metrics.counter({
      name: 'meta_shortcut_connect_failed',
      help: 'connections for worker threads that could not be made',
    });
    this.#lines = Array.from({ length: count }, () => ({
      fd: this.#unusedDescriptor(),
      pauseMs: FIRST_PAUSE_MS,
      connectedMs: 0,
      timer: undefined,
    }));
  }

  /** The descriptor of each line. */
  get descriptors(): number[] {
    return this.#lines.map(({ fd }) => fd);
  }

  /** Begins to connect. */
  start(): void {
    for (const index of this.#lines.keys()) void this.#connect(index);
  }

  /** A line was given up by the answering thread. */
  lost(index: number, reason: LossReason, message: string): void {
    const line = this.#lines[index];
    assert(line !== undefined, `no line ${index}`);
    const { clock, logger, metrics } = this.#options;
    const help = 'connections of worker threads that were given up, by reason';
    metrics.counter({ name: 'meta_shortcut_lost', help, labels: { reason } }).add();
    logger.warn({ line: index, reason, message }, 'a connection for look-ups was given up');
    if (clock.nowMs() - line.connectedMs > GOOD_AFTER_MS) line.pauseMs = FIRST_PAUSE_MS;
    this.#again(index, line);
  }

  /** Closes all. No thread uses them any more. */
  close(): void {
    this.#stopping.abort(new Error('the shortcut ends'));
    for (const { fd, timer } of this.#lines) {
      timer?.cancel();
      this.#options.libc.close(fd);
    }
  }

  async #connect(index: number): Promise<void> {
    const line = this.#lines[index] as Line;
    const { clock, direct, libc, switchboard, logger } = this.#options;
    const wait = {
      what: 'a connection for look-ups',
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal: this.#stopping.signal,
    };
    try {
      const fd = await withDeadline(clock, wait, (signal) =>
        direct.connect((original) => this.#duplicate(original), signal),
      );
      if (this.#stopping.signal.aborted) {
        libc.close(fd);
        return;
      }
      const moved = libc.dup3(fd, line.fd, O_CLOEXEC);
      const errno = moved < 0 ? libc.errno() : 0;
      libc.close(fd);
      if (moved < 0) throw new Error(`the descriptor could not be moved (errno ${errno})`);
      line.connectedMs = clock.nowMs();
      switchboard.setState(index, LineState.ready);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#failed.add();
      logger.debug({ line: index, error }, 'no connection for look-ups');
      this.#again(index, line);
    }
  }

  #again(index: number, line: Line): void {
    if (this.#stopping.signal.aborted) return;
    line.timer = this.#options.clock.setTimer(line.pauseMs, () => void this.#connect(index));
    line.pauseMs = Math.min(line.pauseMs * 2, PAUSE_MAX_MS);
  }

  #duplicate(fd: number): number {
    const copy = this.#options.libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    assert(copy >= 0, 'no descriptor is left');
    return copy;
  }

  #unusedDescriptor(): number {
    const fd = this.#options.libc.open('/dev/null', O_RDWR | O_CLOEXEC, 0);
    assert(fd >= 0, '/dev/null cannot be opened');
    return fd;
  }
}
