import { readdirSync, readFileSync } from 'node:fs';

/** What a daemon has used so far. */
export interface Usage {
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** Ticks of the times in /proc: always 100 on Linux as user space sees it. @see proc_pid_stat(5) */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** Fields after the name in /proc/PID/stat, counted from the state (field 3). */
const PARENT = 1;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
const RSS_PAGES = 21;

/** Usage of a process and of all its descendants: `juicefs mount` works in a child. */
export function treeUsage(rootPid: number): Usage {
  const stats = new Map<number, readonly string[]>();
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) {
      const fields = statOf(Number(name));
      if (fields !== undefined) stats.set(Number(name), fields);
    }
  }
  let cpuTicks = 0;
  let rssPages = 0;
  for (const [pid, fields] of stats) {
    if (!descends(pid, rootPid, stats)) continue;
    cpuTicks += Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
    rssPages += Number(fields[RSS_PAGES]);
  }
  return { cpuSeconds: cpuTicks / TICKS_PER_SECOND, rssBytes: rssPages * PAGE_BYTES };
}

function descends(
  pid: number,
  rootPid: number,
  stats: ReadonlyMap<number, readonly string[]>,
): boolean {
  for (let current = pid; current > 1; ) {
    if (current === rootPid) return true;
    current = Number(stats.get(current)?.[PARENT] ?? 0);
  }
  return false;
}

function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
