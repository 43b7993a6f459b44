import type { LogFields, Logger } from '../../src/runtime/logger.ts';
import type { Trace } from '../world/trace.ts';

/** A log whose lines are part of the trace: what the code says it does has to repeat, too. */
export function tracedLogger(trace: Trace, node: number): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    trace.note(`log ${level}`, node, message, detailOf(fields));
  };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

function detailOf(fields: LogFields): string {
  const error = fields['err'] ?? fields['error'];
  const peer = fields['peer'] ?? fields['node'] ?? '';
  const text = error instanceof Error ? error.message : typeof error === 'string' ? error : '';
  return `${typeof peer === 'string' ? peer.slice(-6) : ''} ${text}`;
}
