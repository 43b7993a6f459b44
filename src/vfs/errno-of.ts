import { AssertionError } from 'node:assert';
import { SliceRecordError } from '../block/read-plan.ts';
import { BlockReadError, type BlockReadErrorCode } from '../mesh/loader.ts';
import { MetaError, type MetaErrorCode } from '../meta/engine.ts';
import { type ErrnoName, FsError } from '../posix/errno.ts';
import { DeadlineError } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { QueueFullError } from '../runtime/semaphore.ts';
import { OutOfMemoryError } from '../runtime/system/shared-memory.ts';

/** Where {@link errnoOf} reports what the kernel's error number does not tell. */
export interface ErrnoReport {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The operation that failed, for the log and the counter: `read`, `lookup`, … */
  readonly operation: string;
  /** The request's signal: when it is aborted, whatever was thrown is the consequence. */
  readonly signal?: AbortSignal;
}

/**
 * The one place that turns failures into error numbers.
 *
 * Expected outcomes (`FsError`) pass. Lost data (EIO) and known failures of a layer are counted
 * (`vfs_errors`) and logged. Everything else is a bug of ours: EIO, an error line with the stack, and `bug_total`.
 */
export function errnoOf(error: unknown, report: ErrnoReport): FsError {
  if (error instanceof FsError) {
    if (error.code === 'EIO') complain(error, 'EIO', report);
    return error;
  }
  // EINTR would say that nothing was changed.
  const isUnknown = error instanceof MetaError && error.code === 'outcome-unknown';
  if (!isUnknown && (report.signal?.aborted === true || isAbort(error))) {
    return new FsError('EINTR', `${report.operation} was interrupted`, { cause: error });
  }
  const code = knownCode(error);
  if (code === undefined) return bug(error, report);
  complain(error, code, report);
  return new FsError(code, (error as Error).message, { cause: error });
}

function complain(error: unknown, code: ErrnoName, { logger, metrics, operation }: ErrnoReport) {
  metrics
    .counter({
      name: 'vfs_errors',
      help: 'Operations that failed',
      labels: { operation, errno: code },
    })
    .add();
  logger.warn({ operation, errno: code, error: causes(error) }, `${operation} failed`);
}

function bug(error: unknown, { logger, metrics, operation }: ErrnoReport): FsError {
  metrics.counter({ name: 'bug_total', help: 'Failures that no code path foresees' }).add();
  const stack = error instanceof Error ? error.stack : String(error);
  logger.error(
    { operation, stack, error: causes(error) },
    `bug: unforeseen failure of ${operation}`,
  );
  return new FsError('EIO', `unforeseen failure of ${operation}`, { cause: error });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.message === 'aborted');
}

function knownCode(error: unknown): ErrnoName | undefined {
  if (error instanceof AssertionError) return undefined;
  if (error instanceof MetaError) return metaCode(error.code);
  if (error instanceof BlockReadError) return blockCode(error.code);
  // A chunk list that contradicts itself.
  if (error instanceof SliceRecordError) return 'EIO';
  if (error instanceof DeadlineError) return 'ETIMEDOUT';
  if (error instanceof QueueFullError) return 'EBUSY';
  if (error instanceof OutOfMemoryError) return 'ENOMEM';
  return undefined;
}

function metaCode(code: MetaErrorCode): ErrnoName {
  switch (code) {
    case 'unavailable':
    case 'corrupt':
    case 'no-volume':
    case 'incompatible':
    case 'bad-url':
    case 'bad-setting':
    case 'outcome-unknown':
      return 'EIO';
    case 'refused':
      return 'EACCES';
  }
}

function blockCode(code: BlockReadErrorCode): ErrnoName {
  switch (code) {
    case 'missing':
    case 'failed':
    case 'corrupt':
      return 'EIO';
  }
}

/** The messages from the outermost error to its last cause. */
function causes(error: unknown): string {
  const messages: string[] = [];
  let next: unknown = error;
  while (next instanceof Error && messages.length < 8) {
    messages.push(`${next.name}: ${next.message}`);
    next = next.cause;
  }
  if (messages.length === 0) messages.push(String(error));
  return messages.join(' ← ');
}
