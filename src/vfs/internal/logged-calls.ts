import { getSystemErrorMessage } from 'node:util';
import type { FuseContext } from '../../fuse/operations.ts';
import type { FsError } from '../../posix/errno.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { errnoOf } from '../errno-of.ts';
import type { AccessLog } from './access-log.ts';

/** Describes a request for the access log; without a result it has failed. */
export type Tell<T> = (result: T | undefined) => string;

/** Runs operations: turns what they throw into error numbers, and tells the access log. */
export class LoggedCalls {
  readonly #parts: { clock: Clock; logger: Logger; metrics: Metrics; log: AccessLog };

  constructor(parts: { clock: Clock; logger: Logger; metrics: Metrics; log: AccessLog }) {
    this.#parts = parts;
  }

  /**
   * @param tell - undefined: the request does not show in the log
   * @throws FsError
   */
  async run<T>(
    method: string,
    context: FuseContext,
    work: () => Promise<T>,
    tell: Tell<T> | undefined,
  ): Promise<T> {
    const { clock, log, logger, metrics } = this.#parts;
    const watched = log.isWatched ? tell : undefined;
    const startedMs = watched === undefined ? 0 : clock.nowMs();
    let result: T | undefined;
    let failure: FsError | undefined;
    try {
      result = await work();
      return result;
    } catch (error) {
      failure = errnoOf(error, { logger, metrics, operation: method, signal: context.signal });
      throw failure;
    } finally {
      if (watched !== undefined) {
        const { uid, gid, pid } = context;
        const error = failure === undefined ? undefined : getSystemErrorMessage(-failure.errno);
        const durationMs = clock.nowMs() - startedMs;
        log.record({ uid, gid, pid, method, detail: watched(result), error, durationMs });
      }
    }
  }

  /** Something that nobody waits for was done. @param tell - called while somebody watches */
  done(method: string, tell: () => string): void {
    const { log } = this.#parts;
    if (!log.isWatched) return;
    const nobody = { uid: 0, gid: 0, pid: 0, error: undefined, durationMs: 0 };
    log.record({ ...nobody, method, detail: tell() });
  }
}
