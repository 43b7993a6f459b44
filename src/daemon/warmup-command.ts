import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import Table from 'cli-table3';
import { CodedError } from '../runtime/coded-error.ts';
import { byteText } from './byte-text.ts';
import { askDaemon, followDaemon } from './control-socket.ts';
import { findMount, type MountEntry } from './mount-table.ts';
import { parseWhole, UsageError } from './quantities.ts';
import { PARALLEL_MAX, PATHS_MAX, type WarmupQuestion } from './warmup-endpoint.ts';
import type { WarmupDisplay } from './warmup-display.ts';
import { addLines, hasFailed, type WarmupLine } from './warmup-line.ts';

/** Not everything that was asked for could be done; what it was stands in the output. */
export class WarmupError extends CodedError<'incomplete'> {}

/** What `cachemesh warmup` was told, as commander hands it over. */
export interface WarmupOptions {
  readonly file?: string;
  readonly parallel: string;
  readonly background?: boolean;
  readonly pin?: boolean;
  readonly check?: boolean;
  readonly evict?: boolean;
  readonly jobs?: boolean;
  readonly cancel?: boolean;
  readonly json?: boolean;
}

/**
 * Warms up, checks or evicts paths in a mount, through the daemon that serves it.
 *
 * @throws UsageError; WarmupError when something failed or it was cancelled
 */
export async function warmup(given: readonly string[], options: WarmupOptions): Promise<void> {
  const { pin, check, evict, cancel, jobs, background } = options;
  if ([pin, check, evict, cancel, jobs].filter(Boolean).length > 1) {
    throw new UsageError('--pin, --check, --evict, --jobs and --cancel exclude each other');
  }
  const listed = options.file === undefined ? [] : await readList(options.file);
  const { mount, paths } = await inMount([...given, ...listed]);
  if (cancel === true) {
    await cancelJobs(mount);
    return;
  }
  if (jobs === true) {
    await printJobs(mount, options.json === true);
    return;
  }
  const other = evict === true ? 'evict' : pin === true ? 'pin' : 'warm';
  const action = check === true ? 'check' : other;
  const parallel = parseWhole('--parallel', options.parallel, { min: 1, max: PARALLEL_MAX });
  const question = { action, paths, parallel, background: background === true } as const;
  await run(mount, question, options.json === true);
}

async function cancelJobs({ mountpoint }: MountEntry): Promise<void> {
  const answer = (await askDaemon(mountpoint, '/warmup?cancel=all')) as { cancelled: number };
  process.stdout.write(`${answer.cancelled} jobs cancelled\n`);
}

async function printJobs({ mountpoint }: MountEntry, json: boolean): Promise<void> {
  const { jobs } = (await askDaemon(mountpoint, '/warmup')) as { jobs: WarmupLine[] };
  const text = (job: WarmupLine) =>
    `job ${job.job}: ${job.action}, ${job.state}; ${resultOf(job).at(-1)}`;
  for (const job of jobs) process.stdout.write(`${json ? JSON.stringify(job) : text(job)}\n`);
}

async function run(mount: MountEntry, question: WarmupQuestion, json: boolean): Promise<void> {
  // Loaded only here: the other commands need no progress bar.
  const { jsonDisplay, textDisplay } = await import('./warmup-display.ts');
  const display = json ? jsonDisplay(process.stdout) : textDisplay(process.stderr);
  let total: WarmupLine | undefined;
  try {
    for (let at = 0; at < question.paths.length; at += PATHS_MAX) {
      const part = { ...question, paths: question.paths.slice(at, at + PATHS_MAX) };
      const isLast = at + PATHS_MAX >= question.paths.length;
      total = await follow(mount, part, { display, before: total, isLast });
      if (total.state === 'cancelled') break;
    }
  } finally {
    display.end();
  }
  if (total === undefined) throw new UsageError('the daemon said nothing');
  if (!json) process.stdout.write(`${summaryOf(total)}\n`);
  if (question.background || !hasFailed(total)) return;
  throw new WarmupError('incomplete', total.state === 'cancelled' ? 'cancelled' : 'incomplete');
}

/** Shows one request's lines and gives the last one. Ctrl-C ends the job on all nodes. */
async function follow(
  { mountpoint }: MountEntry,
  body: WarmupQuestion,
  options: { display: WarmupDisplay; before: WarmupLine | undefined; isLast: boolean },
): Promise<WarmupLine> {
  const { display, before, isLast } = options;
  const hangUp = new AbortController();
  let job: number | undefined;
  const onSignal = () => {
    // A second signal, or one that comes before the job is known, hangs up, which ends it, too.
    if (job === undefined) hangUp.abort();
    else askDaemon(mountpoint, `/warmup?cancel=${job}`).catch(() => hangUp.abort());
    job = undefined;
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    let last: WarmupLine | undefined;
    const lines = followDaemon(mountpoint, '/warmup', { body, signal: hangUp.signal });
    for await (const each of lines) {
      const line = each as WarmupLine;
      if (last === undefined) job = line.job;
      last = before === undefined ? line : addLines(before, line);
      const isEnd = line.type !== 'end' || isLast || line.state === 'cancelled';
      display.update(isEnd ? last : { ...last, type: 'progress' });
    }
    if (last === undefined) throw new UsageError(`the daemon of ${mountpoint} said nothing`);
    return last;
  } catch (error) {
    if (hangUp.signal.aborted) throw new WarmupError('incomplete', 'cancelled', { cause: error });
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function readList(file: string): Promise<string[]> {
  try {
    const lines = (await readFile(file, 'utf8')).split('\n');
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  } catch (error) {
    throw new UsageError(`--file: ${(error as Error).message}`);
  }
}

/** The mount that all paths lie in, and the paths below it. */
async function inMount(given: readonly string[]): Promise<{ mount: MountEntry; paths: string[] }> {
  const [first] = given;
  if (first === undefined) throw new UsageError('no path: name some, or use --file');
  const mount = await findMount(await real(first));
  if (mount === undefined) throw new UsageError(`${first}: not in a cachemesh mount`);
  const paths: string[] = [];
  for (const each of given) paths.push(await below(mount, each));
  return { mount, paths };
}

async function below({ mountpoint }: MountEntry, given: string): Promise<string> {
  const textual = path.relative(mountpoint, path.resolve(given));
  // The daemon follows links inside of the volume by itself.
  if (isBelow(textual)) return textual;
  const relative = path.relative(mountpoint, await real(given));
  if (isBelow(relative)) return relative;
  throw new UsageError(`${given}: not in the mount at ${mountpoint}`);
}

function isBelow(relative: string): boolean {
  return relative.split(path.sep)[0] !== '..' && !path.isAbsolute(relative);
}

async function real(given: string): Promise<string> {
  try {
    return await realpath(given);
  } catch (error) {
    throw new UsageError(`${given}: ${(error as Error).message}`);
  }
}

function summaryOf(line: WarmupLine): string {
  if (line.type === 'started') return `job ${line.job} goes on in the daemon`;
  const problems = [
    ...line.failures.map(({ path: where, error }) => `failed: ${where}: ${error}`),
    ...line.silent.map((node) => `no answer from member ${node}`),
  ];
  return [...problems, ...resultOf(line)].join('\n');
}

function resultOf(line: WarmupLine): string[] {
  const { action, state, filesDone, filesFailed, bytesDone, elapsedMs } = line;
  const seconds = (elapsedMs / 1000).toFixed(1);
  const files = `${filesDone} files (${filesFailed} failed)`;
  const end = `${seconds} s${state === 'cancelled' ? ', cancelled' : ''}`;
  if (action === 'check')
    return [holdersTable(line), `${shareText(line)} cached, ${files}, ${end}`];
  if (action === 'evict') {
    const dropped = `${line.evictedBlocks} blocks (${byteText(line.evictedBytes)})`;
    return [`${dropped} dropped, ${files}, ${end}`];
  }
  const how = `${byteText(line.fetchedBytes)} fetched, ${byteText(line.heldBytes)} held already`;
  const moved = line.movedBlocks === 0 ? '' : `, ${line.movedBlocks} blocks by their next owner`;
  const views = action === 'pin' ? `, ${line.views} with a view` : '';
  return [`${files}${views}, ${byteText(bytesDone)}: ${how}${moved}, ${end}`];
}

function shareText({ cachedBytes, bytesDone }: WarmupLine): string {
  const percent = bytesDone === 0 ? 100 : (cachedBytes / bytesDone) * 100;
  return `${byteText(cachedBytes)} of ${byteText(bytesDone)} (${percent.toFixed(1)} %)`;
}

function holdersTable({ heldBy, bytesDone }: WarmupLine): string {
  const table = new Table({ head: ['node', 'tier', 'bytes', 'share'] });
  for (const [holder, bytes] of Object.entries(heldBy).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const at = holder.lastIndexOf(' ');
    const share = `${((bytes / Math.max(1, bytesDone)) * 100).toFixed(1)} %`;
    table.push([holder.slice(0, at), holder.slice(at + 1), byteText(bytes), share]);
  }
  return table.toString();
}
