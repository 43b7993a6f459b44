import { setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { reportToParent } from './background.ts';
import { systemClock } from '../runtime/clock.ts';
import { Daemon } from './daemon.ts';
import type { MountConfig } from './mount-config.ts';
import { createLogger } from './pino-logger.ts';
import { boundYoungGeneration } from './young-generation.ts';

/** Stopping takes at most this long; then the process ends all the same, which aborts the mount. */
const STOP_TIMEOUT_MS = 20_000;
/** After everything was stopped the process ends at once, unless a thread stays in a system call. */
const LINGER_TIMEOUT_MS = 5_000;
/** Signals within this are one wish: a terminal signals the whole group, and a parent passes it on. */
const REPEAT_MS = 1_000;
/** JuiceFS's own priority: a loaded node must not starve its file system. */
const NICENESS = -19;

/** Mounts, and returns when the volume was unmounted or the process was told to end. */
export async function runMount(config: MountConfig): Promise<void> {
  // Else V8 runs a full collection for each 64 MB of memory outside its heap: every read from a
  // socket takes 64 KB for a moment, so that were five a second, and half of our CPU per look-up.
  setFlagsFromString('--external-memory-accounted-in-global-limit');
  boundYoungGeneration();
  const logger = createLogger({ level: config.logLevel, file: config.log });
  try {
    // Before any worker thread starts: on Linux threads inherit it.
    setPriority(NICENESS);
  } catch {
    logger.debug({ niceness: NICENESS }, 'not allowed to raise our priority');
  }
  const daemon = new Daemon(config, { logger, env: process.env });
  const ended = endOf(daemon);
  // While the daemon starts nobody waits for it yet: `start` tells what broke.
  ended.catch(() => undefined);
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
      endNow();
    });
    await daemon.stop();
    timer.cancel();
    systemClock.setTimer(LINGER_TIMEOUT_MS, () => {
      const resources = process.getActiveResourcesInfo();
      logger.error({ resources }, 'something keeps the process, ending now');
      endNow();
    });
  }
}

/**
 * Ends the process for good. `process.exit` would wait for the worker threads, and one that reads a
 * device which the kernel does not let go never ends.
 */
function endNow(): void {
  process.emit('exit', 1);
  process.kill(process.pid, 'SIGKILL');
}

/** Resolves on SIGTERM, SIGINT or SIGHUP, or when the mount is gone; a later second signal ends at once. */
function endOf(daemon: Daemon): Promise<void> {
  return new Promise((resolve, reject) => {
    let signalledAtMs: number | undefined;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        const nowMs = systemClock.nowMs();
        signalledAtMs ??= nowMs;
        if (nowMs - signalledAtMs > REPEAT_MS) endNow();
        resolve();
      });
    }
    daemon.closed.then(resolve, reject);
  });
}
