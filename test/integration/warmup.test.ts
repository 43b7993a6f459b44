import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WarmupLine } from '../../src/daemon/warmup-line.ts';
import { parseCacheName } from '../../src/store/cache-layout.ts';
import { gatewayBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { startGroup, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { DAEMON_PROGRAM } from '../servers/daemon-program.ts';
import { detach } from '../servers/mounted.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import { requestsServed } from '../servers/rgw.ts';
import { sharedRgw } from '../servers/shared-rgw.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const MIB = 2 ** 20;
const GROUP = ['--memory-cache-size', '64', '--cache-size', '2048'];
const LARGE = [67 * MIB + 11, 24 * MIB, 13 * MIB - 1, 4 * MIB, 4 * MIB + 1];
const SMALL_FILES = 300;
const numbers = (length: number) => Array.from({ length }, (_, index) => index);

let bucket: Awaited<ReturnType<typeof gatewayBucket>>;
let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];
const slow: SyntheticFile[] = [];

beforeAll(async () => {
  bucket = await gatewayBucket();
  volume = await makeSyntheticVolume({ bucket });
  const large = LARGE.map((sizeBytes, index) => [`set/large/${index}`, sizeBytes] as const);
  const small = numbers(SMALL_FILES).map(
    (index) => [`set/small/${index % 7}/${index}`, 1 + index * 60] as const,
  );
  files.push(...(await volume.addFiles([...large, ...small])));
  // One after the other on each node they take a second or more: time to interrupt.
  slow.push(...(await volume.addFiles(numbers(500).map((index) => [`slow/${index}`, 200 * 1024]))));
  nodes = await startGroup(3, { metaUrl: volume.metaUrl, args: GROUP });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  // One of them is killed by a test.
  for (const { mountpoint } of nodes) await detach(mountpoint);
  await volume?.stop();
});

/** How often each object below the bucket was fetched. */
async function fetches(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { method, path } of await requestsServed(await sharedRgw())) {
    if (method !== 'GET' || !path.startsWith(`/${bucket.name}/synthetic/chunks/`)) continue;
    counts.set(path, (counts.get(path) ?? 0) + 1);
  }
  return counts;
}

/** How often a node has asked a second source beside a slow one. */
async function hedges(): Promise<number> {
  const counts = await Promise.all(nodes.map((n) => n.metric('juicefs_mesh_hedges_total')));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function warmup(node: number, ...words: string[]): Promise<WarmupLine & { status: unknown }> {
  const { stdout, stderr, status } = await runCli(['warmup', ...words, '--json'], {});
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`node ${node}: ${stdout}${stderr}`);
  return { ...(JSON.parse(last) as WarmupLine), status };
}

const at = (node: number, path = '') => `${(nodes[node] as TestDaemon).mountpoint}/${path}`;

test('the whole group is warmed up by one node, and each object is fetched once', async () => {
  const cold = await warmup(0, at(0, 'set'), '--check');
  expect(cold).toMatchObject({ cachedBytes: 0, bytesDone: totalBytes(files), status: 0 });
  const line = await warmup(0, at(0, 'set'));
  expect(line).toMatchObject({
    type: 'end',
    state: 'done',
    status: 0,
    filesDone: files.length,
    filesFailed: 0,
    bytesDone: totalBytes(files),
    fetchedBytes: totalBytes(files),
    heldBytes: 0,
    movedBlocks: 0,
  });
  const counts = await fetches();
  expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
  expect(counts.size).toBe(line.blocksFound);
  // Every member has its share on its own disk.
  const checked = await warmup(1, at(1, 'set'), '--check');
  expect(checked).toMatchObject({ cachedBytes: totalBytes(files), silent: [], status: 0 });
  const onDisk = await Promise.all(nodes.map(({ cacheDir }) => blockBytesIn(cacheDir)));
  expect(Math.min(...onDisk)).toBeGreaterThan(0);
  expect(onDisk.reduce((sum, bytes) => sum + bytes, 0)).toBe(totalBytes(files));
});

test('reading afterwards, on any node, asks the origin for nothing', async () => {
  const [before, hedgesBefore] = [await fetches(), await hedges()];
  for (const { mountpoint } of nodes) {
    expect(await readAll(mountpoint, files)).toMatchObject({ wrong: [], errors: [] });
  }
  const after = await fetches();
  const again = [...after].filter(([path, count]) => count !== before.get(path));
  // On a machine too busy for an owner to answer in its usual time, a reader asks the origin beside it.
  expect(again.length).toBeLessThanOrEqual((await hedges()) - hedgesBefore);
});

test('again, from another node, everything is held already', async () => {
  const before = await fetches();
  expect(await warmup(2, at(2, 'set'))).toMatchObject({
    heldBytes: totalBytes(files),
    fetchedBytes: 0,
    status: 0,
  });
  expect(await fetches()).toEqual(before);
});

test('evicting drops the blocks everywhere', async () => {
  const line = await warmup(1, at(1, 'set/large'), '--evict');
  const large = totalBytes(files.slice(0, LARGE.length));
  expect(line).toMatchObject({ status: 0, bytesDone: large });
  expect(line.evictedBytes).toBeGreaterThanOrEqual(large);
  const checked = await warmup(0, at(0, 'set'), '--check');
  expect(checked.cachedBytes).toBe(totalBytes(files) - large);
  expect(await warmup(0, at(0, 'set'))).toMatchObject({ fetchedBytes: large, status: 0 });
});

test('Ctrl-C ends it on all nodes within a second; run again it fetches only what is missing', async () => {
  const child = spawn(process.execPath, [
    DAEMON_PROGRAM,
    'warmup',
    at(0, 'slow'),
    '-p',
    '1',
    '--json',
  ]);
  const printed = text(child.stdout);
  await untilFetched(slow, 10);
  child.kill('SIGINT');
  const startedMs = performance.now();
  const [status] = (await once(child, 'exit')) as [number | null];
  expect(status).toBe(1);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  const end = JSON.parse((await printed).trim().split('\n').at(-1) ?? '') as WarmupLine;
  expect(end).toMatchObject({ type: 'end', state: 'cancelled' });
  await sleep(1_000);
  const stopped = await fetches();
  await sleep(1_500);
  expect(await fetches()).toEqual(stopped);
  expect(missing(stopped)).toBeGreaterThan(0);
  const again = await warmup(0, at(0, 'slow'));
  expect(again).toMatchObject({ status: 0, filesDone: slow.length });
  expect(again.heldBytes + again.fetchedBytes).toBe(totalBytes(slow));
  // Only what was under way when it was interrupted is fetched a second time: a block on each node.
  expect(again.fetchedBlocks).toBeLessThanOrEqual(missing(stopped) + 3);
});

test('in the background it goes on in the daemon, which tells how far it is', async () => {
  await warmup(0, at(0, 'slow'), '--evict');
  const started = await warmup(0, at(0, 'slow'), '--background');
  expect(started).toMatchObject({ type: 'started', status: 0 });
  let job: WarmupLine | undefined;
  while (job?.state !== 'done') {
    const { stdout } = await runCli(['warmup', at(0), '--jobs', '--json']);
    const jobs = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as WarmupLine);
    job = jobs.find((each) => each.job === started.job);
  }
  expect(job).toMatchObject({ filesDone: slow.length, failedBlocks: 0 });
});

test('an owner that dies midway costs no block: its next owner keeps them', async () => {
  await warmup(0, at(0, 'slow'), '--evict');
  const third = nodes[2] as TestDaemon;
  const before = await fetches();
  const warming = warmup(0, at(0, 'slow'), '-p', '1');
  await untilFetched(slow, 10, before);
  await third.process.stop('SIGKILL');
  const line = await warming;
  expect(line).toMatchObject({ status: 0, filesFailed: 0, filesDone: slow.length });
  expect(line.movedBlocks).toBeGreaterThan(0);
  await untilGrouped(nodes.slice(0, 2), 2);
  const checked = await warmup(1, at(1, 'slow'), '--check');
  expect(checked.cachedBytes).toBeGreaterThan(0);
});

test('what cannot be had is named and makes the command fail', async () => {
  const { status, stderr, stdout } = await runCli(['warmup', at(0, 'slow'), at(0, 'not-there')]);
  expect(status).toBe(1);
  expect(stdout).toContain('failed: not-there');
  expect(stderr).toContain('incomplete');
});

const nameOf = ({ pieces }: SyntheticFile) => `/${pieces[0]?.sliceId}_0_${pieces[0]?.length}`;

/** How many of the slow files, one object each, were never fetched. */
function missing(counts: ReadonlyMap<string, number>): number {
  const names = new Set([...counts.keys()].map((path) => path.slice(path.lastIndexOf('/'))));
  return slow.filter((file) => !names.has(nameOf(file))).length;
}

/** Waits until so many more fetches of objects of these files are in the gateway's log. */
async function untilFetched(
  wanted: readonly SyntheticFile[],
  count: number,
  before: ReadonlyMap<string, number> = new Map(),
): Promise<void> {
  const names = new Set(wanted.map(nameOf));
  await waitUntil(`${count} fetches`, async () => {
    let seen = 0;
    for (const [path, times] of await fetches()) {
      if (names.has(path.slice(path.lastIndexOf('/')))) seen += times - (before.get(path) ?? 0);
    }
    return seen >= count;
  });
}

/** Bytes of the blocks in a cache directory, by their names. */
async function blockBytesIn(dir: string): Promise<number> {
  const names = await readdir(dir, { recursive: true });
  const found = names.map((name) => parseCacheName(basename(name)));
  const blocks = found.filter((name) => name?.kind === 'block');
  return blocks.reduce((sum, block) => sum + (block?.sizeBytes ?? 0), 0);
}
