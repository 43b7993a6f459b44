import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import { readAll } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

interface Status {
  readonly volume: Readonly<Record<string, unknown>>;
  readonly sessions: readonly {
    readonly HostName: string;
    readonly MountPoint: string;
    readonly ProcessID: number;
    readonly Version: string;
    readonly expired: boolean;
    readonly CacheMesh?: { readonly Group: string; readonly PeerId: string; Weight: number };
  }[];
}

interface Info {
  readonly ino: string;
  readonly type: string;
  readonly length: string;
  readonly slices: readonly { readonly chunk: number; readonly sliceId: string; size: number }[];
  readonly blocks: readonly {
    readonly object: string;
    readonly sizeBytes: number;
    readonly owner: string;
    readonly heldBy: readonly { readonly node: string; readonly tier: string }[];
  }[];
}

let volume: SyntheticVolume;
let file: SyntheticFile;
let nodes: TestDaemon[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  file = await volume.addFile('directory/file', 9_000_000);
  nodes = await startGroup(2, {
    metaUrl: volume.metaUrl,
    args: ['--cache-dir', 'memory', '--memory-cache-size', '64', '--group-weight', '150'],
  });
  await readAll((nodes[0] as TestDaemon).mountpoint, [file]);
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

test('status --json tells volume, sessions and members', async () => {
  const { status, stdout, stderr } = await runCli(['status', volume.metaUrl, '--json']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const shown = JSON.parse(stdout) as Status;
  expect(shown.volume).toMatchObject({ name: 'synthetic', storage: 'file', blockBytes: 4194304 });
  expect(shown.sessions.map(({ MountPoint }) => MountPoint).toSorted()).toEqual(
    nodes.map(({ mountpoint }) => mountpoint).toSorted(),
  );
  for (const session of shown.sessions) {
    expect(session).toMatchObject({
      HostName: hostname(),
      expired: false,
      CacheMesh: { Group: 'test', Weight: 150 },
    });
    expect(session.Version).toMatch(/^1\.4\.\d+\+cachemesh/);
  }
  const pids = shown.sessions.map(({ ProcessID }) => ProcessID);
  expect(new Set(pids)).toEqual(new Set(nodes.map((node) => node.process.pid)));
});

test('status as tables', async () => {
  const { status, stdout } = await runCli(['status', volume.metaUrl]);
  expect(status).toBe(0);
  for (const word of ['synthetic', hostname(), 'test', '150', nodes[0]?.mountpoint ?? '']) {
    expect(stdout).toContain(word);
  }
});

test('info --json tells slices, objects, owners and holders', async () => {
  const path = join((nodes[0] as TestDaemon).mountpoint, file.path);
  const { status, stdout, stderr } = await runCli(['info', path, '--json']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const info = JSON.parse(stdout) as Info;
  const sliceId = String(file.pieces[0]?.sliceId);
  expect(info).toMatchObject({ ino: String(file.ino), type: 'file', length: '9000000' });
  expect(info.slices).toMatchObject([{ chunk: 0, sliceId, size: 9_000_000 }]);
  expect(info.blocks.map(({ object }) => object)).toEqual([
    `synthetic/chunks/0/0/${sliceId}_0_4194304`,
    `synthetic/chunks/0/0/${sliceId}_1_4194304`,
    `synthetic/chunks/0/0/${sliceId}_2_611392`,
  ]);
  const status_ = JSON.parse((await runCli(['status', volume.metaUrl, '--json'])).stdout) as Status;
  const members = status_.sessions.map(({ CacheMesh }) => CacheMesh?.PeerId);
  for (const block of info.blocks) {
    expect(members).toContain(block.owner);
    // This node has read it, and its owner has it when that is the other one.
    expect(block.heldBy).toContainEqual({ node: 'this node', tier: 'memory' });
  }
  const others = info.blocks.flatMap(({ heldBy }) => heldBy.filter((h) => h.node !== 'this node'));
  for (const { node } of others) expect(members).toContain(node);
});

test('info as tables, also of a directory', async () => {
  const { mountpoint } = nodes[1] as TestDaemon;
  const ofFile = await runCli(['info', join(mountpoint, file.path)]);
  expect(ofFile.status).toBe(0);
  expect(ofFile.stdout).toContain(`${file.pieces[0]?.sliceId}_0_4194304`);
  const ofDirectory = await runCli(['info', join(mountpoint, 'directory')]);
  expect(ofDirectory.status).toBe(0);
  expect(ofDirectory.stdout).toContain('directory');
});

test.each([
  ['a path that does not exist', () => join(nodes[0]?.mountpoint ?? '', 'nothing'), /nothing/],
  ['a path outside of mounts', () => '/etc/passwd', /not in a cachemesh mount/],
])('info of %s fails with a message', async (_, path, message) => {
  const { status, stderr } = await runCli(['info', path()]);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('status of no volume fails with a message', async () => {
  const { status, stderr } = await runCli(['status', 'redis://127.0.0.1:1/0']);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/^cachemesh: /);
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('Prometheus gets the counters, under the names that JuiceFS has for them', async () => {
  // Together: which of the nodes owns a block, and so asked the origin for it, is left to chance.
  const texts = await Promise.all(
    nodes.map(async (node) => {
      const [, address = ''] = /metrics at (http\S+)/.exec(await node.log()) ?? [];
      const answer = await fetch(address);
      expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
      return await answer.text();
    }),
  );
  const text = texts.join('\n');
  const expected = [
    'juicefs_fuse_ops_durations_histogram_seconds_bucket',
    'juicefs_fuse_read_size_bytes_sum',
    'juicefs_blockcache_blocks',
    'juicefs_blockcache_bytes',
    'juicefs_object_request_durations_histogram_seconds_count',
    'juicefs_object_request_data_bytes',
    'juicefs_meta_ops_duration_seconds',
    'juicefs_meta_ops_total',
    'juicefs_used_buffer_size_bytes',
    'juicefs_remotecache_members',
    'juicefs_mesh_read_bytes_total',
    'juicefs_process_resident_memory_bytes',
  ];
  const missing = expected.filter((name) => !new RegExp(`^${name}[{ ]`, 'm').test(text));
  expect(missing).toEqual([]);
  const brought = await (nodes[0] as TestDaemon).metric('juicefs_mesh_loaded_bytes_total');
  expect(brought).toBeGreaterThanOrEqual(file.sizeBytes);
  expect(await (nodes[0] as TestDaemon).metric('juicefs_bug_total')).toBe(0);
});
