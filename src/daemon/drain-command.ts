import { systemClock } from '../runtime/clock.ts';
import { sleep } from '../runtime/deadline.ts';
import { byteText } from './byte-text.ts';
import { askDaemon } from './control-socket.ts';
import type { DrainLine } from './drain-endpoint.ts';
import { realMountpoint } from './mount-table.ts';

const LINE_INTERVAL_MS = 1_000;

/** What `cachemesh drain` was told, as commander hands it over. */
export interface DrainOptions {
  readonly undo?: boolean;
  readonly background?: boolean;
  readonly json?: boolean;
}

/**
 * Makes the daemon of a mount hand its blocks over to their next owners, and follows it until it is
 * empty; or lets it keep blocks again. Ctrl-C ends the following only.
 *
 * @throws UsageError when no daemon answers, or it has no group
 */
export async function drain(target: string, options: DrainOptions): Promise<void> {
  const mountpoint = await realMountpoint(target);
  const first = await ask(mountpoint, options.undo === true ? '?undo' : '?begin');
  print(first, options);
  if (options.undo === true || options.background === true) return;
  let line = first;
  // Our timers do not keep a process alive, and here nothing else does.
  const alive = new MessageChannel();
  alive.port1.ref();
  try {
    while (line.state === 'draining') {
      await sleep(systemClock, LINE_INTERVAL_MS);
      line = await ask(mountpoint, '');
      print(line, options);
    }
  } finally {
    alive.port1.close();
  }
}

async function ask(mountpoint: string, query: string): Promise<DrainLine> {
  return (await askDaemon(mountpoint, `/drain${query}`)) as DrainLine;
}

function print(line: DrainLine, { json }: DrainOptions): void {
  process.stdout.write(`${json === true ? JSON.stringify(line) : textOf(line)}\n`);
}

function textOf(line: DrainLine): string {
  const { state, weight, blocksDone, bytesDone, bytesLeft, blocksFailed, error, elapsedMs } = line;
  if (state === 'off') return `this node keeps blocks with weight ${weight}`;
  const moved = `${blocksDone} blocks (${byteText(bytesDone)}) handed over`;
  const seconds = `${(elapsedMs / 1000).toFixed(1)} s`;
  if (state === 'empty') return `this node is empty: ${moved} in ${seconds}`;
  const failed = blocksFailed === 0 ? '' : `, ${blocksFailed} found no taker yet (${error})`;
  return `${moved}, ${byteText(bytesLeft)} left${failed}, ${seconds}`;
}
