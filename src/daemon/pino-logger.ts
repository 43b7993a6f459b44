import { destination, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogFields, Logger } from '../runtime/logger.ts';

/** Levels of `--log-level`, most talkative first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * A structured log: JSON lines in `file`, or on standard error (readable when that is a terminal).
 *
 * @param options - `file`: appended to; undefined for standard error
 */
export function createLogger(options: { level: LogLevel; file: string | undefined }): Logger {
  const { level, file } = options;
  if (file !== undefined) {
    return wrap(pino({ level }, destination({ dest: file, mkdir: true, sync: true })));
  }
  if (process.stderr.isTTY) {
    const stream = pretty({ destination: 2, sync: true, ignore: 'pid,hostname' });
    return wrap(pino({ level }, stream));
  }
  return wrap(pino({ level }, destination({ dest: 2, sync: true })));
}

function wrap(inner: pino.Logger): Logger {
  return {
    debug: (fields: LogFields, message: string) => inner.debug(fields, message),
    info: (fields: LogFields, message: string) => inner.info(fields, message),
    warn: (fields: LogFields, message: string) => inner.warn(fields, message),
    error: (fields: LogFields, message: string) => inner.error(fields, message),
    child: (fields: LogFields) => wrap(inner.child(fields)),
  };
}
