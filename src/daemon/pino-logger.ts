import { destination, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LogFields, Logger } from '../runtime/logger.ts';

/** Levels of `--log-level`, most talkative first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What may wait while the log cannot be written; further lines are left out. */
const WAITING_BYTES_MAX = 1024 * 1024;

/**
 * A structured log: JSON lines in `file`, or on standard error (readable when that is a terminal).
 *
 * @param options - `file`: appended to; undefined for standard error
 */
export function createLogger(options: { level: LogLevel; file: string | undefined }): Logger {
  const { level, file } = options;
  if (file !== undefined) return wrap(pino({ level }, outputTo(file)));
  const output = outputTo(process.stderr.fd);
  if (!process.stderr.isTTY) return wrap(pino({ level }, output));
  const readable = prettyFactory({ ignore: 'pid,hostname' });
  return wrap(pino({ level }, { write: (line) => void output.write(readable(line)) }));
}

/**
 * A full disk must cost the log its lines, not the mount its daemon: what cannot be written waits for
 * room, within a bound.
 */
function outputTo(dest: string | number) {
  const output = destination({ dest, mkdir: true, sync: true, maxLength: WAITING_BYTES_MAX });
  output.on('error', () => undefined);
  return output;
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
