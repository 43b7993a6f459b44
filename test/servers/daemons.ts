import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { COMPILED_PROGRAM, DAEMON_PROGRAM } from './daemon-program.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { makeTempDir } from './temp.ts';
import { waitUntil } from './wait-until.ts';

/** A daemon with its mount, run by the command line as a user would. */
export interface TestDaemon {
  readonly name: string;
  readonly mountpoint: string;
  readonly cacheDir: string;
  readonly process: ServerProcess;
  /** What it printed and logged. */
  log(): Promise<string>;
  /** Sum of the samples of a metric (with the juicefs_ prefix) whose labels contain `label`. */
  metric(name: string, label?: string): Promise<number>;
  /** Unmounts and ends it in the orderly way. */
  stop(): Promise<void>;
}

/** How to start a {@link TestDaemon}. */
export interface DaemonOptions {
  readonly metaUrl: string;
  readonly name?: string;
  /** Used instead of new ones, to start a daemon again where another one was. */
  readonly dir?: string;
  /** Further words of the command line. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of the command, for example `nsenter` with its arguments. */
  readonly prefix?: readonly [string, ...string[]];
  /** Runs what `npm run build` has made last, as users do: it takes less memory than the sources. */
  readonly compiled?: boolean;
}

const MOUNTED = 'is mounted at';
const MOUNT_TIMEOUT_MS = 60_000;
const ASK_TIMEOUT_MS = 20_000;

/** Starts a daemon and waits until its volume is mounted. @throws Error with its log when it is not */
export async function startDaemon(options: DaemonOptions): Promise<TestDaemon> {
  const name = options.name ?? 'node';
  const dir = options.dir ?? (await makeTempDir(name));
  const mountpoint = join(dir, 'mnt');
  const cacheDir = join(dir, 'cache');
  const logPath = join(dir, 'log');
  // A dead predecessor's mount makes it "exist" in a way that mkdir cannot see.
  await mkdir(mountpoint, { recursive: true }).catch(() => undefined);
  const words = [
    'mount',
    options.metaUrl,
    mountpoint,
    '--enable-xattr',
    '--enable-cap',
    '--enable-selinux',
  ];
  const defaults = ['--cache-dir', cacheDir, '--metrics', '127.0.0.1:0', '--heartbeat', '1'];
  const log = () => readFile(logPath, 'utf8');
  const mountedBefore = (await log().catch(() => '')).split(MOUNTED).length;
  const process_ = await startServer(
    [
      ...(options.prefix ?? []),
      process.execPath,
      options.compiled === true ? COMPILED_PROGRAM : DAEMON_PROGRAM,
      ...words,
      ...defaults,
      ...(options.args ?? []),
    ],
    { logPath, env: { ...options.env } },
  );
  try {
    const mounted = async () => (await log()).split(MOUNTED).length > mountedBefore;
    const settled = async () => process_.ended() !== undefined || (await mounted());
    await waitUntil(`${name} to mount`, settled, MOUNT_TIMEOUT_MS);
    if (!(await mounted())) throw new Error('it ended');
  } catch (error) {
    await process_.stop('SIGKILL');
    throw new Error(`${name} did not mount:\n${await log()}`, { cause: error });
  }
  const metric = async (metricName: string, label = '') => {
    const addresses = [...(await log()).matchAll(/metrics at (http\S+)/g)];
    const text = await textAt(addresses.at(-1)?.[1] ?? '', options.prefix);
    return sumOf(text, metricName, label);
  };
  return {
    name,
    mountpoint,
    cacheDir,
    process: process_,
    log,
    metric,
    stop: () => process_.stop('SIGTERM', 25_000),
  };
}

/** Starts `count` daemons of one cache group on loopback and waits until all know each other. */
export async function startGroup(count: number, options: DaemonOptions): Promise<TestDaemon[]> {
  const args = ['--cache-group', 'test', '--listen', '127.0.0.1:0', ...(options.args ?? [])];
  const daemons = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startDaemon({ ...options, name: `node-${index + 1}`, args }),
    ),
  );
  await untilGrouped(daemons, count);
  return daemons;
}

/** Waits until each of `daemons` sees `count` members. */
export async function untilGrouped(daemons: readonly TestDaemon[], count: number): Promise<void> {
  await waitUntil(`${count} members in every view`, async () => {
    const seen = await Promise.all(daemons.map((d) => d.metric('juicefs_remotecache_members')));
    return seen.every((members) => members === count);
  });
}

/** Gets a page; one that listens in a namespace is asked from there. */
async function textAt(url: string, prefix: DaemonOptions['prefix']): Promise<string> {
  if (prefix === undefined) return (await fetch(url)).text();
  const [program, ...words] = prefix;
  const ask = `fetch(${JSON.stringify(url)}).then(async (a) => console.log(await a.text()))`;
  const command = [...words, process.execPath, '-e', ask];
  return (await promisify(execFile)(program, command, { timeout: ASK_TIMEOUT_MS })).stdout;
}

function sumOf(text: string, name: string, label: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && /[{ ]/.test(line[name.length] ?? ''))
    .filter((line) => line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
