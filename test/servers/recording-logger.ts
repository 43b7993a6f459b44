import type { LogFields, Logger } from '../../src/runtime/logger.ts';

/** A line of a log. */
export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: LogFields;
  readonly message: string;
}

/** A logger that keeps its lines. */
export function recordingLogger(): { logger: Logger; lines: RecordedLine[] } {
  const lines: RecordedLine[] = [];
  const loggerWith = (own: LogFields): Logger => {
    const line = (level: RecordedLine['level']) => (fields: LogFields, message: string) =>
      void lines.push({ level, fields: { ...own, ...fields }, message });
    return {
      ...{ debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      child: (fields) => loggerWith({ ...own, ...fields }),
    };
  };
  return { logger: loggerWith({}), lines };
}
