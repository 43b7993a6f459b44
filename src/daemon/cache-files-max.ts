import { readFileSync } from 'node:fs';

/** Cache files kept open where the system allows it: 16,384 small files take the kernel 30 MB. */
const MOST = 16_384;
/** Of the descriptors that the process may have; sockets, pipes and files being written take the others. */
const SHARE = 0.7;
/** What Linux allows by default where nothing can be found out. */
const USUAL_LIMIT = 1_024;

/** How many cache files may be kept open, by the process's own limit (`ulimit -n`). */
export function cacheFilesMax(): number {
  return filesOf(readLimits());
}

/** @param limits - text of /proc/self/limits; empty when there is none */
export function filesOf(limits: string): number {
  const found = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  const limit = found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found ?? USUAL_LIMIT);
  return Math.min(MOST, Math.floor(limit * SHARE));
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
