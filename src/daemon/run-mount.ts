import { setPriority } from 'node:os';
import { reportToParent } from './background.ts';
import { systemClock } from '../runtime/clock.ts';
import { Daemon } from './daemon.ts';
import type { MountConfig } from './mount-config.ts';
import { createLogger } from './pino-logger.ts';

/** Stopping takes at most this long; then the process ends all the same, which aborts the mount. */
const STOP_TIMEOUT_MS = 20_000;
/** JuiceFS's own priority: a loaded node must not starve its file system. */
const NICENESS = -19;

/** Mounts, and returns when the volume was unmounted or the process was told to end. */
export async function runMount(config: MountConfig): Promise<void> {
  const logger = createLogger({ level: config.logLevel, file: config.log });
  try {
    // Before any worker thread starts: on Linux threads inherit it.
    setPriority(NICENESS);
  } catch {
    logger.debug({ niceness: NICENESS }, 'not allowed to raise our priority');
  }
  const daemon = new Daemon(config, { logger, env: process.env });
  const ended = endOf(daemon);
  try {
    await daemon.start();
    const metrics = daemon.metricsUrl === undefined ? '' : `, metrics at ${daemon.metricsUrl}`;
    process.stderr.write(
      `cachemesh: ${daemon.volumeName} is mounted at ${config.mountpoint}${metrics}\n`,
    );
    reportToParent({ mounted: true, message: '' });
    await ended;
  } finally {
    const timer = systemClock.setTimer(STOP_TIMEOUT_MS, () => {
      logger.error({ timeoutMs: STOP_TIMEOUT_MS }, 'stopping takes too long, ending now');
      process.exit(1);
    });
    await daemon.stop();
    timer.cancel();
  }
}

/** Resolves on SIGTERM, SIGINT or SIGHUP, or when the mount is gone; a second signal ends at once. */
function endOf(daemon: Daemon): Promise<void> {
  return new Promise((resolve, reject) => {
    let signalled = false;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (signalled) process.exit(1);
        signalled = true;
        resolve();
      });
    }
    daemon.closed.then(resolve, reject);
  });
}
