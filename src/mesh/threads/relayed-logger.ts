import type { LogFields, Logger } from '../../runtime/logger.ts';
import type { ServeThreadMessage } from './serve-messages.ts';

type LogMessage = Extract<ServeThreadMessage, { type: 'log' }>;

/** A log for a thread that has none: lines are sent to the thread that writes them. */
export function relayedLogger(post: (message: LogMessage) => void, own: LogFields = {}): Logger {
  const line = (level: LogMessage['level']) => (fields: LogFields, message: string) =>
    post({ type: 'log', level, fields: { ...own, ...plain(fields) }, message });
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: (fields) => relayedLogger(post, { ...own, ...plain(fields) }),
  };
}

/** An error's class and causes do not survive the way; its words do. */
function plain(fields: LogFields): LogFields {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    value instanceof Error
      ? { type: value.name, message: value.message, stack: value.stack }
      : value,
  ]);
  return Object.fromEntries(entries) as LogFields;
}
