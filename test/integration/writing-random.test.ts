import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runToEnd } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import {
  startWriter,
  type WritableVolume,
  writableVolume,
  writeAtRandom,
} from '../servers/writable.ts';

/** More of them, and so long as they take, when told: 100,000 must hold. */
const OPERATIONS = Number(process.env['CACHEMESH_TEST_OPERATIONS'] ?? 1_500);
const SECONDS_MAX = process.env['CACHEMESH_TEST_OPERATIONS'] === undefined ? 15 : 36_000;
const TIMEOUT_MS = SECONDS_MAX * 1000 + 45_000;
const LONGEST = 700_000;
/** Printed, so that a failure can be had again. */
const SEED = Number(process.env['CACHEMESH_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

describe.each(['redis', 'sqlite'] as const)(
  'a file on %s that is written to at random',
  (engine) => {
    let volume: WritableVolume;
    let nodes: TestDaemon[] = [];
    const paths = (name: string) => nodes.map(({ mountpoint }) => join(mountpoint, 'random', name));

    beforeAll(async () => {
      volume = await writableVolume(engine, { blockKib: 64 });
      const [one, two] = await Promise.all(
        ['one', 'two'].map((name) => startWriter(volume, { name })),
      );
      nodes = [one as TestDaemon, two as TestDaemon];
      await mkdir(join((one as TestDaemon).mountpoint, 'random'));
    });

    afterAll(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await volume?.stop();
    });

    test(`has on one node what it must have throughout (seed ${SEED})`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      const [path = ''] = paths('one-node');
      const plan = { seed: SEED, operations: OPERATIONS, secondsMax: SECONDS_MAX };
      const kinds = await writeAtRandom({ ...plan, longest: LONGEST, paths: [path] });
      expect(Object.keys(kinds).length).toBeGreaterThanOrEqual(9);
    });

    test(`has on two nodes, one after the other, what it must have (seed ${SEED})`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      const both = paths('two-nodes');
      const plan = { seed: SEED, operations: OPERATIONS, secondsMax: SECONDS_MAX };
      await writeAtRandom({ ...plan, longest: LONGEST, paths: both });
      const [one, two] = await Promise.all(both.map((path) => readFile(path)));
      expect((one as Buffer).equals(two as Buffer)).toBe(true);
    });

    test('may be two chunks long, and written over their border', { timeout: 60_000 }, async () => {
      const [path = '', other = ''] = paths('large');
      const program = [
        'import os, sys',
        'fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)',
        'border = 64 << 20',
        'os.pwrite(fd, b"a" * 300000, border - 150000)',
        'os.pwrite(fd, b"b" * 10, border - 5)',
        'found = os.pread(fd, 20, border - 10)',
        'os.close(fd)',
        'print(found.decode())',
      ].join('\n');
      const { stdout } = await runToEnd(['python3', '-c', program, path]);
      expect(stdout.trim()).toBe('aaaaabbbbbbbbbbaaaaa');
      const { stdout: sums } = await runToEnd(['sha256sum', path, other]);
      const [one = '', two = ''] = sums.trim().split('\n');
      expect(one.slice(0, 64)).toBe(two.slice(0, 64));
    });
  },
);
