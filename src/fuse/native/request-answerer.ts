import type { Clock } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { FuseContext } from '../operations.ts';
import { EIO_ANSWER, expectedErrno } from './native-errno.ts';

/** Who is taken to be the caller of all requests, which fuse-native does not tell. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** Runs requests so that each is answered exactly once, within a bounded time. */
export class RequestAnswerer {
  readonly #options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly caller: Caller;
    /** Behind it a request is answered with EIO. */
    readonly timeoutMs: number;
    /** Aborted when the mount ends. */
    readonly signal: AbortSignal;
  };

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly caller: Caller;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }) {
    this.#options = options;
  }

  /**
   * Runs `work` and hands its result to `answer`, or a negative error number.
   *
   * @param what - names the request, e.g. `getattr /a`
   */
  answer<T>(
    what: string,
    work: (context: FuseContext) => Promise<T>,
    answer: (error: number, value?: T) => void,
  ): void {
    const { clock, caller, timeoutMs, signal } = this.#options;
    withDeadline(clock, { what, timeoutMs, signal }, (ended) => work({ ...caller, signal: ended }))
      .then(
        (value) => answer(0, value),
        (error: unknown) => answer(this.#numberOf(what, error)),
      )
      .catch((error: unknown) => {
        this.#options.logger.error({ what, err: error }, 'fuse-native refused an answer');
      });
  }

  #numberOf(what: string, error: unknown): number {
    const { logger, metrics, signal } = this.#options;
    const expected = expectedErrno(error);
    if (expected !== undefined) return expected;
    if (signal.aborted) return EIO_ANSWER;
    metrics
      .counter({ name: 'fuse_native_failures', help: 'Requests answered with EIO by fuse-native' })
      .add();
    logger.error({ what, err: error }, 'request failed');
    return EIO_ANSWER;
  }
}
