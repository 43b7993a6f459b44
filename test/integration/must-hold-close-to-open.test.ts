import { closeSync, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runCli } from '../servers/cli.ts';
import { startDaemon, startGroup, type TestDaemon } from '../servers/daemons.ts';
import { sliceBytes } from '../servers/synthetic-bytes.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

const ROUNDS = 200;

let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket(), blockKib: 64 });
  const args = ['--memory-cache-size', '64', '--cache-size', '256'];
  nodes = await startGroup(2, { metaUrl: volume.metaUrl, args });
  // The kernel may believe names and attributes for long: opens must find changes all the same.
  const believing = ['--attr-cache', '60', '--entry-cache', '60', '--dir-entry-cache', '60'];
  nodes.push(
    await startDaemon({
      metaUrl: volume.metaUrl,
      name: 'believer',
      args: [...args, ...believing],
    }),
  );
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

function readWhole(fd: number): Buffer {
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const part = Buffer.alloc(2 ** 16);
    const length = readSync(fd, part, 0, part.length, offset);
    if (length === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, length));
    offset += length;
  }
}

function contentOf(file: SyntheticFile): Buffer {
  return Buffer.concat(file.pieces.map(({ sliceId, length }) => sliceBytes(sliceId, 0, length)));
}

/** @returns what a new open sees that it should not */
function staleness(node: TestDaemon, file: SyntheticFile): string[] {
  const fd = openSync(join(node.mountpoint, file.path), 'r');
  try {
    const expected = contentOf(file);
    const problems: string[] = [];
    // Twice: the first read through the main thread, then by worker threads or kernel pages.
    for (const pass of ['first', 'second']) {
      const found = readWhole(fd);
      if (found.equals(expected)) continue;
      problems.push(`${node.name}: ${pass} read has ${found.length} of ${expected.length} bytes`);
    }
    return problems;
  } finally {
    closeSync(fd);
  }
}

test(`${ROUNDS} times: an open after an overwrite sees the new bytes, on every node`, async () => {
  let file = await volume.addFile('file', 200_000);
  for (let round = 0; round < ROUNDS; round += 1) {
    // The same length half of the time: then only times tell the contents apart.
    const sizeBytes = round % 2 === 0 ? file.sizeBytes : 1 + ((round * 7919) % 250_000);
    file = await volume.rewrite(file, sizeBytes);
    const current = file;
    const problems = nodes.flatMap((node) => staleness(node, current));
    expect(problems.map((problem) => `round ${round}: ${problem}`)).toEqual([]);
  }
});

test('an open after a warm-up that saw the change, not the kernel, sees the new bytes', async () => {
  const believer = nodes.at(-1) as TestDaemon;
  const old = await volume.addFile('warmed', 100_000);
  const path = join(believer.mountpoint, old.path);
  expect((await stat(path)).size).toBe(old.sizeBytes);
  const changed = await volume.rewrite(old, 170_000);
  expect(await runCli(['warmup', path])).toMatchObject({ status: 0 });
  // The kernel still believes the old length.
  expect((await stat(path)).size).toBe(old.sizeBytes);
  expect(staleness(believer, changed)).toEqual([]);
});

test('a handle that stays open never shows bytes of two contents in one file', async () => {
  const old = await volume.addFile('kept', 150_000);
  const node = nodes[0] as TestDaemon;
  const fd = openSync(join(node.mountpoint, old.path), 'r');
  try {
    expect(readWhole(fd).equals(contentOf(old))).toBe(true);
    const changed = await volume.rewrite(old);
    expect(staleness(node, changed)).toEqual([]);
    const found = readWhole(fd);
    expect([contentOf(old), contentOf(changed)].some((whole) => whole.equals(found))).toBe(true);
  } finally {
    closeSync(fd);
  }
});
