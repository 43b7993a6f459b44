import { systemClock } from '../runtime/clock.ts';
import { type LogFields, type Logger, silentLogger } from '../runtime/logger.ts';
import { memoryMetrics } from '../runtime/metrics.ts';
import { systemRandom } from '../runtime/random.ts';
import type { DaemonContext } from './daemon-context.ts';
import { ShutdownStack } from './shutdown-stack.ts';

/** What a command that does one thing and ends works with. */
export interface OneShot extends DaemonContext {
  readonly shutdown: ShutdownStack;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Runs a command's work, keeps the process alive meanwhile, and closes what the work has opened. */
export async function runOneShot<T>(work: (context: OneShot) => Promise<T>): Promise<T> {
  const logger = commandLogger();
  const shutdown = new ShutdownStack(logger);
  const aborter = new AbortController();
  const onSignal = () => aborter.abort(new Error('stopped'));
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  // Our timers do not keep a process alive, and while one waits to try again nothing else does.
  const alive = new MessageChannel();
  alive.port1.ref();
  try {
    return await work({
      ...{ env: process.env, clock: systemClock, random: systemRandom, logger },
      ...{ metrics: memoryMetrics(), libc: undefined, shutdown, signal: aborter.signal },
    });
  } finally {
    await shutdown.unwind();
    alive.port1.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** Warnings and errors on standard error, for people. */
function commandLogger(): Logger {
  const print = (fields: LogFields, message: string) => {
    const more = Object.entries(fields).map(([name, value]) => `${name} ${String(value)}`);
    const text = more.length === 0 ? message : `${message} (${more.join(', ')})`;
    process.stderr.write(`cachemesh: ${text}\n`);
  };
  const logger: Logger = { ...silentLogger, warn: print, error: print, child: () => logger };
  return logger;
}
