import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import type { Libc } from '../runtime/system/libc.ts';
import type { MemoryCalls } from '../runtime/system/shared-memory.ts';
import type { FileCalls } from '../store/file-calls.ts';

/** The surroundings that every part of a daemon is given. */
export interface DaemonContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Undefined where native system calls cannot be had. */
  readonly libc: Libc | undefined;
  /** What the disk tier calls; the machine's own when left out. */
  readonly files?: FileCalls | undefined;
  /** Where the memory tier's memory comes from; `libc` when left out. */
  readonly memory?: MemoryCalls | undefined;
  /** Cache files kept open at most; as many as the process's own limit allows when left out. */
  readonly openFilesMax?: number | undefined;
}
