import type { Clock } from '../runtime/clock.ts';
import type { LogFields, Logger } from '../runtime/logger.ts';
import { LogThrottle } from '../runtime/log-throttle.ts';
import { PeerError } from './block-exchange.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import type { LimitName } from './serve-limits.ts';

/** Between two log lines about the same. */
const LINE_EVERY_MS = 5_000;
/** Somebody's mistake, to be found; the rest is the internet's noise. */
const MISTAKES: ReadonlySet<string> = new Set(['forbidden', 'encryption', 'protocol']);

/** Where a connection came from: the sockets for blocks, or libp2p. */
export type Plane = 'bulk' | 'control';

/**
 * Counts each refusal, and logs of each kind one line in 5 s with the number of those left out: who
 * floods this node must not fill its log.
 */
export class Refusals {
  readonly #plane: Plane;
  readonly #metrics: PeerMetrics;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;

  constructor(
    plane: Plane,
    context: { readonly metrics: PeerMetrics; readonly clock: Clock; readonly logger: Logger },
  ) {
    this.#plane = plane;
    this.#metrics = context.metrics;
    this.#logger = context.logger;
    this.#throttle = new LogThrottle(context.clock, LINE_EVERY_MS);
  }

  /** Something was refused because a limit is reached. @param fields - who it was */
  limit(limit: LimitName, fields: LogFields): void {
    const plane = this.#plane;
    this.#metrics.refusals(plane, limit).add();
    const leftOut = this.#throttle.admit(`limit ${limit}`);
    if (leftOut === undefined) return;
    const text = 'a limit on what others may ask of this node is reached';
    this.#logger.warn({ plane, limit, ...fields, leftOut }, text);
  }

  /** Somebody was cut off before he proved that he is a member. @param fields - who it was */
  stranger(error: unknown, fields: LogFields): void {
    const reason = error instanceof PeerError ? error.code : 'timeout';
    this.#metrics.strangers(reason).add();
    const leftOut = this.#throttle.admit(`stranger ${reason}`);
    if (leftOut === undefined) return;
    const level = MISTAKES.has(reason) ? 'warn' : 'info';
    const all = { plane: this.#plane, ...fields, reason, leftOut, err: error };
    this.#logger[level](all, 'a stranger was cut off');
  }
}
