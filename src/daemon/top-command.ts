import { clearScreenDown, cursorTo } from 'node:readline';
import { systemClock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import { askDaemon } from './control-socket.ts';
import type { GroupStatus } from './group-report.ts';
import { groupTable } from './group-table.ts';
import { realMountpoint } from './mount-table.ts';
import { parseDuration, parseWhole } from './quantities.ts';

/** Lines of the screen that are not members. */
const FRAME_LINES = 6;

/** What `cachemesh top` was told, as commander hands it over. */
export interface TopOptions {
  readonly interval: string;
  readonly count?: string;
  readonly json?: boolean;
}

/** Prints the group of a mount once. @throws UsageError when no daemon answers, or it has no group */
export async function printGroup(target: string, options: { json: boolean }): Promise<void> {
  const status = await ask(await realMountpoint(target));
  const text = options.json ? JSON.stringify(status, undefined, 2) : groupTable(status);
  process.stdout.write(`${text}\n`);
}

/** Shows the group of a mount again and again until Ctrl-C. @throws UsageError as {@link printGroup} */
export async function top(target: string, options: TopOptions): Promise<void> {
  const intervalMs = Math.max(100, parseDuration('--interval', options.interval));
  const { count } = options;
  const times =
    count === undefined
      ? Number.POSITIVE_INFINITY
      : parseWhole('--count', count, { min: 1, max: 1e9 });
  const mountpoint = await realMountpoint(target);
  const ending = new AbortController();
  const onSignal = () => ending.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  let before: GroupStatus | undefined;
  try {
    for (let time = 0; time < times && !ending.signal.aborted; time += 1) {
      if (time > 0) await pause(intervalMs, ending.signal);
      if (ending.signal.aborted) return;
      const status = await ask(mountpoint);
      show(status, before, options.json === true);
      before = status;
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function ask(mountpoint: string): Promise<GroupStatus> {
  return (await askDaemon(mountpoint, '/group')) as GroupStatus;
}

/** Ends early, and without an error, when the user has seen enough. */
async function pause(intervalMs: number, signal: AbortSignal): Promise<void> {
  // Our timers do not keep a process alive, and here nothing else does.
  const alive = new MessageChannel();
  alive.port1.ref();
  await sleep(systemClock, intervalMs, signal).catch(() => undefined);
  alive.port1.close();
}

function show(status: GroupStatus, before: GroupStatus | undefined, json: boolean): void {
  const output = process.stdout;
  if (json) output.write(`${JSON.stringify(status)}\n`);
  else if (!output.isTTY) output.write(`${groupTable(status, { before })}\n\n`);
  else {
    cursorTo(output, 0, 0);
    clearScreenDown(output);
    const rowsMax = Math.max(1, output.rows - FRAME_LINES);
    output.write(`${groupTable(status, { before, rowsMax })}\nbytes per second; Ctrl-C ends\n`);
  }
}
