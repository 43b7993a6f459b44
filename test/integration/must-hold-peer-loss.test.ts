import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startGroup, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { detach } from '../servers/mounted.ts';
import { readAll, type ReadResult, startReader, totalBytes } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const MIB = 2 ** 20;
const FILE_BYTES = 24 * MIB + 5;
const FILES = 10;
/** The promise: no read takes longer, whatever happens to a peer. */
const SLOWEST_MS = 2_000;
/** Passes are ended by hand. */
const ENDLESS = 1_000;
/** Much less memory than data and no disk: most blocks come from their owner again and again. */
const GROUP = ['--cache-dir', 'memory', '--memory-cache-size', '48', '--max-readahead', '16'];

let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
const files: SyntheticFile[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
  for (let index = 0; index < FILES; index += 1) {
    files.push(await volume.addFile(`file-${index}`, FILE_BYTES));
  }
  nodes = await startGroup(3, { metaUrl: volume.metaUrl, args: GROUP });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  for (const { mountpoint } of nodes) await detach(mountpoint);
  await volume?.stop();
});

/** Lets the first two nodes read, more than peers can have answered at once, and does `work` meanwhile. */
async function whileReading(work: () => Promise<void>): Promise<ReadResult[]> {
  const readers = nodes.slice(0, 2).map(({ mountpoint }, index) =>
    startReader({
      mountpoint,
      files: index === 0 ? files : files.toReversed(),
      passes: ENDLESS,
      direct: true,
    }),
  );
  const before = await bytesFromPeers();
  try {
    await waitUntil(
      'blocks to come from peers',
      async () => (await bytesFromPeers()) > before + 32 * MIB,
    );
    await work();
  } finally {
    for (const reader of readers) reader.finish();
  }
  return Promise.all(readers.map(({ result }) => result));
}

/** Bytes that the first two nodes have got from peers. */
async function bytesFromPeers(): Promise<number> {
  const [a = 0, b = 0] = await Promise.all(
    nodes.slice(0, 2).map((node) => node.metric('juicefs_mesh_loaded_bytes_total', 'from="peer"')),
  );
  return a + b;
}

test('while all are there', async () => {
  const results = await whileReading(() => sleep(4000));
  for (const result of results) expect(result).toMatchObject({ wrong: [], errors: [] });
});

test('a peer that is frozen costs no error and no wrong byte, and comes back', async () => {
  const third = nodes[2] as TestDaemon;
  const results = await whileReading(async () => {
    process.kill(third.process.pid, 'SIGSTOP');
    try {
      await sleep(4000);
    } finally {
      process.kill(third.process.pid, 'SIGCONT');
    }
    await sleep(500);
  });
  for (const result of results) {
    expect(result).toMatchObject({ wrong: [], errors: [] });
    expect(result.slowestMs).toBeLessThan(SLOWEST_MS);
  }
  await untilGrouped(nodes, 3);
  expect(await readAll(third.mountpoint, files, { direct: true })).toMatchObject({
    wrong: [],
    errors: [],
    bytes: totalBytes(files),
  });
});

test('a peer that is killed costs no error, no wrong byte and no read of two seconds', async () => {
  const results = await whileReading(async () => {
    await (nodes[2] as TestDaemon).process.stop('SIGKILL');
    await sleep(4000);
  });
  for (const result of results) {
    expect(result).toMatchObject({ wrong: [], errors: [] });
    expect(result.slowestMs).toBeLessThan(SLOWEST_MS);
  }
  await untilGrouped(nodes.slice(0, 2), 2);
  // The two that are left go on sharing.
  const before = await bytesFromPeers();
  expect(await readAll((nodes[0] as TestDaemon).mountpoint, files, { direct: true })).toMatchObject(
    { wrong: [] },
  );
  expect(await bytesFromPeers()).toBeGreaterThan(before);
});
