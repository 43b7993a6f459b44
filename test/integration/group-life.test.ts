import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { startDaemon, startGroup, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { detach } from '../servers/mounted.ts';
import { expectSentOnce, secondFetches } from '../servers/origin-account.ts';
import { readAll, totalBytes } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const MIB = 2 ** 20;
const NODES = 5;
const BLOCK_KIB = 256;
const GROUP = ['--memory-cache-size', '32', '--cache-size', '256', '--fuse-workers', '1'];
const ALONE = ['--cache-group', 'test', '--listen', '127.0.0.1:0', ...GROUP];
/** What is promised on a machine of its own; the tests allow a busy one this much more. */
const PATIENCE = 10;

interface Line {
  readonly time: number;
  readonly msg: string;
  readonly peer?: string;
  readonly state?: string;
  readonly node?: string;
}

interface Status {
  readonly group: string;
  readonly node: string;
  readonly epoch: number;
  readonly ring: string;
  readonly agreed: boolean;
  readonly members: readonly {
    readonly node: string;
    readonly self: boolean;
    readonly state: string;
    readonly zone: string | null;
    readonly weight: number;
    readonly ringShare: number;
    readonly answeredMs: number | null;
    readonly report: Readonly<Record<string, unknown>> | null;
  }[];
}

let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

const nodeAt = (at: number) => nodes[at] as TestDaemon;

async function linesOf(node: TestDaemon): Promise<Line[]> {
  const lines = (await node.log()).split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Line);
}

/** The name under which a daemon joined last, and when that was by its own clock. */
async function joinOf(node: TestDaemon): Promise<{ node: string; time: number }> {
  const joins = (await linesOf(node)).filter(({ msg }) => msg === 'this node joins the group');
  const last = joins.at(-1);
  return { node: last?.node ?? '', time: last?.time ?? 0 };
}

/** When each of the others first heard that a member is in one of `states`, after `sinceMs`. */
async function heardBy(
  others: readonly TestDaemon[],
  peer: string,
  states: string,
  sinceMs: number,
) {
  const times = await Promise.all(
    others.map(async (other) =>
      (await linesOf(other)).find(
        (line) =>
          line.msg === 'news of a member' &&
          line.peer === peer &&
          states.includes(line.state ?? '?') &&
          line.time >= sinceMs,
      ),
    ),
  );
  return times.map((line) => line?.time ?? Number.POSITIVE_INFINITY);
}

async function statusOf(node: TestDaemon): Promise<Status> {
  const { status, stdout, stderr } = await runCli(['status', node.mountpoint, '--json']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as Status;
}

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket(), blockKib: BLOCK_KIB });
  for (let index = 0; index < 8; index += 1) {
    files.push(await volume.addFile(`file-${index}`, 2 * MIB));
  }
  const args = [...GROUP, '--zone', 'rack-1'];
  nodes = await startGroup(NODES, { metaUrl: volume.metaUrl, args, compiled: true });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  for (const { mountpoint } of nodes) await detach(mountpoint);
  await volume?.stop();
});

test('the group as a whole asks the metadata for members about once an interval', async () => {
  const calls = async () => {
    const text = await volume.redis.command('info', 'commandstats');
    return Number(/cmdstat_hgetall:calls=(\d+)/.exec(text)?.[1] ?? 0);
  };
  const before = await calls();
  const startMs = performance.now();
  await waitUntil('some intervals to pass', () => performance.now() - startMs > 12_000);
  // An interval is a second in these tests; each node on its own would be five a second.
  const perInterval = (await calls()) - before;
  const rate = perInterval / ((performance.now() - startMs) / 1000);
  console.log(`${rate.toFixed(2)} looks at the metadata per interval by ${NODES} nodes`);
  expect(rate).toBeLessThan(2.5);
});

describe('a member that comes and goes', () => {
  test('is known to all when it joins, when it crashes, and when it is back', async () => {
    const options = { metaUrl: volume.metaUrl, args: ALONE, compiled: true };
    const sixth = await startDaemon({ ...options, name: 'node-6' });
    await untilGrouped([...nodes, sixth], NODES + 1);
    const first = await joinOf(sixth);
    // All see it, so all have heard of it.
    const joined = await heardBy(nodes, first.node, 'alive', 0);
    const joinMs = Math.max(...joined) - first.time;

    await sixth.process.stop('SIGKILL');
    await untilGrouped(nodes, NODES);
    const failed = (await Promise.all(nodes.map(linesOf)))
      .flat()
      .filter(({ msg, peer }) => peer === first.node && msg.startsWith('a member does not answer'));
    const failedMs = Math.min(...failed.map(({ time }) => time));
    let known: readonly number[] = [];
    await waitUntil('all have heard of the crash', async () => {
      known = await heardBy(nodes, first.node, 'suspect dead', failedMs);
      return known.every(Number.isFinite);
    });
    const crashMs = Math.max(...known) - failedMs;

    const dir = sixth.mountpoint.replace(/\/mnt$/, '');
    await detach(sixth.mountpoint);
    const again = await startDaemon({ ...options, name: 'node-6', dir });
    await untilGrouped([...nodes, again], NODES + 1);
    const second = await joinOf(again);
    expect(second.node).toBe(first.node);
    const back = await heardBy(nodes, second.node, 'alive', second.time);
    const returnMs = Math.max(...back) - second.time;
    await again.stop();
    await untilGrouped(nodes, NODES);

    console.log(
      `join ${joinMs} ms, crash ${crashMs} ms after the first failure, return ${returnMs} ms`,
    );
    expect(joinMs).toBeLessThan(2_000 * PATIENCE);
    expect(crashMs).toBeLessThan(1_000 * PATIENCE);
    expect(returnMs).toBeLessThan(5_000 * PATIENCE);
  });
});

describe('status and top of a mount', () => {
  test('show all members with what they say of themselves', async () => {
    await readAll(nodeAt(0).mountpoint, files);
    const shown = await statusOf(nodeAt(0));
    const up = shown.members.filter(({ state }) => state === 'up');
    expect(shown).toMatchObject({ group: 'test', agreed: true });
    expect(up).toHaveLength(NODES);
    expect(up.filter(({ self }) => self).map(({ node }) => node)).toEqual([shown.node]);
    for (const member of up) {
      expect(member).toMatchObject({ zone: 'rack-1', weight: 100 });
      expect(member.answeredMs).not.toBeNull();
      expect(member.report).toMatchObject({ ring: shown.ring, members: NODES, drainState: 'off' });
    }
    const shares = up.reduce((sum, { ringShare }) => sum + ringShare, 0);
    expect(shares).toBeCloseTo(1);
    const sum = (name: string) =>
      up.reduce((total, { report }) => total + Number(report?.[name] ?? 0), 0);
    expect(sum('fetchedOriginBytes')).toBeGreaterThanOrEqual(totalBytes(files));
    expect(sum('servedBytes')).toBeGreaterThan(0);
    expect(sum('memoryBytes') + sum('diskBytes')).toBeGreaterThanOrEqual(totalBytes(files));
  });

  test('a dead member is shown as such and does not delay', async () => {
    const shown = await statusOf(nodeAt(1));
    const gone = shown.members.filter(({ state }) => state !== 'up');
    // The sixth one said goodbye.
    expect(gone.map(({ state }) => state)).toEqual(['left']);
    const frozen = nodeAt(4).process.pid;
    process.kill(frozen, 'SIGSTOP');
    try {
      const { status, stdout } = await runCli(['status', nodeAt(1).mountpoint, '--json']);
      expect(status).toBe(0);
      const { members } = JSON.parse(stdout) as Status;
      const silent = members.filter(({ state, report }) => state !== 'left' && report === null);
      expect(silent).toHaveLength(1);
    } finally {
      process.kill(frozen, 'SIGCONT');
    }
    await untilGrouped(nodes, NODES);
  });

  test('top prints the group again and again, for people and for programs', async () => {
    const { mountpoint } = nodeAt(0);
    const words = ['top', mountpoint, '--interval', '200ms', '--count', '2'];
    const [text, json] = await Promise.all([runCli(words), runCli([...words, '--json'])]);
    expect(text.status).toBe(0);
    expect(text.stdout.match(/group test: 5 of/g)).toHaveLength(2);
    expect(text.stdout).toContain('rack-1');
    const lines = json.stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as Status).group)).toEqual(['test', 'test']);
  });

  test.each([
    ['top', /not in a cachemesh mount/],
    ['drain', /not in a cachemesh mount/],
    ['status', /not in a cachemesh mount/],
  ])('%s of a place that is no mount fails with a message', async (command, message) => {
    const { status, stderr } = await runCli([command, '/']);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe('a drain', () => {
  const originBytes = async () => {
    const all = await Promise.all(
      nodes.map((node) => node.metric('juicefs_mesh_loaded_bytes_total', 'from="origin"')),
    );
    return all.reduce((sum, bytes) => sum + bytes, 0);
  };

  async function expectOriginSent(bytes: number): Promise<void> {
    const expected = { bytes, blockBytes: BLOCK_KIB * 1024, datasetBytes: totalBytes(files) };
    expectSentOnce(await originBytes(), expected, await secondFetches(nodes));
  }

  test('hands all blocks over without the origin, says that the node is empty, and can be undone', async () => {
    const third = nodeAt(2);
    const before = await originBytes();
    const held = (await statusOf(third)).members.find(({ self }) => self)?.report;
    expect(Number(held?.['diskBytes'])).toBeGreaterThan(0);
    const { status, stdout, stderr } = await runCli(['drain', third.mountpoint, '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(last).toMatchObject({ state: 'empty', weight: 0, blocksLeft: 0, blocksFailed: 0 });
    expect(Number(last['bytesDone'])).toBeGreaterThan(0);
    const shown = (await statusOf(nodeAt(0))).members.find(({ weight }) => weight === 0);
    expect(shown?.ringShare).toBe(0);
    expect(shown?.report).toMatchObject({ drainState: 'empty', diskBytes: 0, diskBlocks: 0 });
    // What it had is with the others: reading all of it again costs the origin nothing.
    const result = await readAll(nodeAt(3).mountpoint, files, { direct: true });
    expect(result).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
    await expectOriginSent(before);
    expect(await third.log()).toContain('this node is empty');

    const undone = await runCli(['drain', third.mountpoint, '--undo']);
    expect(undone.stdout).toContain('keeps blocks with weight 100');
    await waitUntil('all know the weight', async () => {
      const { members, agreed } = await statusOf(nodeAt(0));
      return agreed && members.every(({ state, weight }) => state !== 'up' || weight === 100);
    });
    const again = await readAll(nodeAt(1).mountpoint, files, { direct: true });
    expect(again).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
    await expectOriginSent(before);
  });
});
