import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MemberProcess, type MemberSettings, startMember } from '../peer/member-process.ts';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon, untilGrouped } from '../servers/daemons.ts';
import { freePort } from '../servers/free-port.ts';
import { readAll, type ReadResult, startReader, totalBytes } from '../servers/readers.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';

const MIB = 2 ** 20;
const BLOCK_BYTES = 4 * MIB;
const FILE_BYTES = 12 * MIB + 4097;
const FILES = 5;
const ENDLESS = 1_000;
const SECRET = 'a secret of the tests of odd members';
const VOLUME_ID = randomUUID();
/** Little memory and no disk: blocks come from their owner again and again. */
const GROUP = ['--cache-dir', 'memory', '--memory-cache-size', '24', '--max-readahead', '8'];
const BOTH = { min: 2, max: 3 };

let volume: SyntheticVolume;
let secretFile: string;
let identityDir: string;
const files: SyntheticFile[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({
    bucket: await folderBucket(),
    setting: { UUID: VOLUME_ID },
  });
  for (let index = 0; index < FILES; index += 1) {
    files.push(await volume.addFile(`file-${index}`, FILE_BYTES));
  }
  const dir = await makeTempDir('odd');
  secretFile = join(dir, 'secret');
  identityDir = dir;
  await writeFile(secretFile, SECRET, { mode: 0o600 });
});

afterAll(async () => volume?.stop());

async function member(change: Partial<MemberSettings>): Promise<MemberProcess> {
  return startMember({
    identityPath: join(identityDir, 'identity'),
    port: await freePort(),
    ...{ group: 'test', volumeId: VOLUME_ID, secret: SECRET, blockBytes: BLOCK_BYTES },
    ...{ versions: BOTH, encrypted: false, lies: false, reads: [] },
    ...change,
  });
}

/** Two daemons that know members which are no daemons. */
async function groupWith(
  odd: readonly MemberProcess[],
  args: readonly string[] = [],
): Promise<TestDaemon[]> {
  const peers = odd.map(({ address }) => address).join(',');
  const words = [...GROUP, '--group-secret-file', secretFile, '--peers', peers, ...args];
  const group = ['--cache-group', 'test', '--listen', '127.0.0.1:0'];
  const nodes = await Promise.all(
    ['node-1', 'node-2'].map((name) =>
      startDaemon({ name, metaUrl: volume.metaUrl, args: [...group, ...words] }),
    ),
  );
  await untilGrouped(nodes, 2 + odd.length);
  return nodes;
}

/** Reads everything through two daemons, again and again, while `work` goes on. */
async function whileReading(nodes: readonly TestDaemon[], work: () => Promise<void>) {
  const readers = nodes.map(({ mountpoint }, index) =>
    startReader({
      ...{ mountpoint, passes: ENDLESS, direct: true },
      files: index === 0 ? files : files.toReversed(),
    }),
  );
  try {
    await work();
  } finally {
    for (const reader of readers) reader.finish();
  }
  for (const result of await Promise.all(readers.map((reader) => reader.result))) {
    expect(result).toMatchObject({ wrong: [], errors: [] });
    expect(result.bytes).toBeGreaterThan(0);
  }
}

/** Whole blocks of all files. */
function allBlocks(): MemberSettings['reads'] {
  return files.flatMap(({ pieces }) =>
    pieces.flatMap(({ sliceId, length }) =>
      Array.from({ length: Math.ceil(length / BLOCK_BYTES) }, (_, index) => {
        const sizeBytes = Math.min(BLOCK_BYTES, length - index * BLOCK_BYTES);
        return [sliceId, index, sizeBytes] as const;
      }),
    ),
  );
}

const sumOf = async (nodes: readonly TestDaemon[], name: string, label = '') => {
  const values = await Promise.all(nodes.map((node) => node.metric(name, label)));
  return values.reduce((sum, value) => sum + value, 0);
};

/** None that a busy machine cannot explain: who is late is passed over, and hedged. */
async function expectNoErrors(nodes: readonly TestDaemon[]): Promise<void> {
  for (const reason of ['protocol', 'corrupt', 'failed', 'forbidden', 'encryption']) {
    const label = `reason="${reason}"`;
    expect(await sumOf(nodes, 'juicefs_remotecache_get_errors', label)).toBe(0);
    expect(await sumOf(nodes, 'juicefs_remotecache_served_errors', label)).toBe(0);
  }
}

describe('a member that sends wrong bytes', () => {
  test('is found, named and avoided, and no reader sees one of them', async () => {
    const liar = await member({ lies: true });
    const nodes = await groupWith([liar]);
    try {
      await whileReading(nodes, async () => {
        for (const node of nodes) {
          await waitUntil('the liar to be found', async () => {
            return (await node.metric('juicefs_mesh_events_total', 'event="peer-corrupt"')) > 0;
          });
        }
        // What was under way is over; from here on nobody may ask it.
        await sleep(1000);
        const before = (await liar.report()).served;
        expect(before).toBeGreaterThan(0);
        await sleep(4000);
        expect((await liar.report()).served).toBe(before);
      });
      for (const node of nodes) {
        const line = (await node.log()).split('\n').find((each) => each.includes('wrong bytes'));
        expect(line).toContain(liar.nodeId);
        expect(JSON.parse(line as string)).toMatchObject({ level: 50, code: 'corrupt' });
      }
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
      await liar.stop();
    }
  });
});

describe('a rolling upgrade', () => {
  const OLD = { min: 2, max: 2 };

  test('a member of the version before serves and reads under load, and is replaced', async () => {
    const place = { port: await freePort(), reads: allBlocks() };
    const old = await member({ ...place, versions: OLD });
    const nodes = await groupWith([old]);
    let upgraded: MemberProcess | undefined;
    try {
      await whileReading(nodes, async () => {
        await waitUntil('both directions to be busy', async () => {
          const { served, read } = await old.report();
          return served > 20 && read > 20;
        });
        await expectNoErrors(nodes);
        const { errors } = await old.stop();
        expect(errors).toEqual([]);
        // The same node comes back with the new version.
        const again = await member(place);
        upgraded = again;
        expect(again.nodeId).toBe(old.nodeId);
        await waitUntil('both directions to be busy again', async () => {
          const { served, read, members } = await again.report();
          return members === 3 && served > 20 && read > 20;
        });
        expect((await again.report()).errors).toEqual([]);
      });
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
      await upgraded?.stop();
    }
  });
});

describe('a group that encrypts', () => {
  let [other, plain]: (MemberProcess | undefined)[] = [];
  let nodes: TestDaemon[] = [];
  let results: ReadResult[] = [];

  beforeAll(async () => {
    const reads = allBlocks();
    other = await member({ encrypted: true, reads });
    plain = await member({ identityPath: join(identityDir, 'plain'), reads });
    nodes = await groupWith([other, plain], ['--encrypt', '--peer-threads', '1']);
    results = await Promise.all(
      nodes.map(({ mountpoint }) => readAll(mountpoint, files, { direct: true })),
    );
  });

  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await other?.stop();
    await plain?.stop();
  });

  test('has read right bytes from each other, by threads', async () => {
    for (const result of results) {
      expect(result).toMatchObject({ wrong: [], errors: [], bytes: totalBytes(files) });
    }
    await waitUntil('all directions to be busy', async () => {
      const report = await other?.report();
      return report !== undefined && report.served > 5 && report.read > 10;
    });
    for (const node of nodes) {
      expect(await node.metric('juicefs_mesh_loaded_bytes_total', 'from="peer"')).toBeGreaterThan(
        0,
      );
      expect(await node.metric('juicefs_remotecache_served_bytes')).toBeGreaterThan(0);
      expect(await node.metric('juicefs_remotecache_thread_deaths')).toBe(0);
    }
  });

  test('and a member that does not: both say so, and reads go on without it', async () => {
    for (const node of nodes) {
      const lines = (await node.log()).split('\n');
      const line = lines.find((each) => each.includes('--encrypt, or none'));
      expect(JSON.parse(line ?? '{}')).toMatchObject({
        ...{ level: 50, code: 'encryption', node: plain?.nodeId },
      });
      const events = await node.metric('juicefs_mesh_events_total', 'event="peer-encryption"');
      expect(events).toBeGreaterThan(0);
      // It answers on the control channel, so nobody takes it for dead.
      expect(await node.metric('juicefs_remotecache_members')).toBe(4);
    }
    const report = await plain?.report();
    expect(report).toMatchObject({ served: 0, read: 0 });
    expect(report?.errors.join()).toMatch(/encrypts its connections and this node does not: start/);
  });
});
