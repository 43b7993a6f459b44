import { execFile } from 'node:child_process';
import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, type ExpectStatic, test } from 'vitest';
import type { TestDaemon } from '../servers/daemons.ts';
import { detach, isMounted } from '../servers/mounted.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { type ServerProcess, startServer } from '../servers/server-process.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter } from '../servers/writable.ts';

const run = promisify(execFile);
const TREE = fileURLToPath(new URL('../servers/tree-changes.py', import.meta.url));
/** For so long mounts believe attributes and names. */
const TTL_MS = 1_100;
const DIRS = ['by-us', 'by-them'] as const;

type Seen = Record<string, { same: unknown[]; here: unknown[] }>;

const tree = async (what: 'make' | 'change' | 'look', dir: string) => {
  const { stdout } = await run('python3', [TREE, what, dir]);
  return what === 'look' ? (JSON.parse(stdout) as Seen) : {};
};
const pause = () => new Promise((resolve) => setTimeout(resolve, TTL_MS));
const without = (seen: Seen) =>
  Object.fromEntries(Object.entries(seen).map(([name, { same }]) => [name, same]));

/** Runs the original client. @returns all that it said; it fails when its status is not 0 */
async function juicefs(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await runStock(words, { JFS_GC_SKIPPEDTIME: '1' });
  if (status !== 0) throw new Error(`juicefs ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** A volume that this program and the original client have mounted. */
class SharedVolume {
  readonly metaUrl: string;
  readonly ours: TestDaemon;
  readonly theirs: string;
  readonly #other: ServerProcess;
  readonly #redis: RedisServer | undefined;

  private constructor(parts: {
    metaUrl: string;
    ours: TestDaemon;
    theirs: string;
    other: ServerProcess;
    redis: RedisServer | undefined;
  }) {
    this.metaUrl = parts.metaUrl;
    this.ours = parts.ours;
    this.theirs = parts.theirs;
    this.#other = parts.other;
    this.#redis = parts.redis;
  }

  static async on(engine: 'redis' | 'sqlite'): Promise<SharedVolume> {
    const dir = await makeTempDir('interop');
    const theirs = join(dir, 'mnt');
    await mkdir(theirs);
    const redis = engine === 'redis' ? await startRedis() : undefined;
    const metaUrl = redis?.url ?? `sqlite3://${dir}/meta.db`;
    const storage = ['--storage', 'file', '--bucket', `${dir}/objects/`, '--trash-days', '0'];
    await juicefs('format', ...storage, metaUrl, 'vol');
    const how = ['--heartbeat', '1', '--no-usage-report', '--cache-dir', join(dir, 'cache')];
    const volume = { metaUrl, args: [], objects: dir, stop: async () => undefined };
    const [ours, other] = await Promise.all([
      startWriter(volume),
      startServer(['juicefs', 'mount', ...how, metaUrl, theirs], { logPath: join(dir, 'log') }),
    ]);
    await waitUntil('the other mount', () => isMounted(theirs));
    return new SharedVolume({ metaUrl, ours, theirs, other, redis });
  }

  /** Directories with quotas, of which the mounts hear with their heartbeats. */
  async prepare(): Promise<void> {
    for (const name of DIRS) {
      await mkdir(join(this.ours.mountpoint, name));
      await juicefs('quota', 'set', this.metaUrl, '--path', `/${name}`, '--inodes', '1000');
    }
    await pause();
    await pause();
  }

  /** Ends both mounts in the orderly way. */
  async unmount(): Promise<void> {
    await Promise.all([this.ours.stop(), juicefs('umount', this.theirs)]);
    await this.#other.end;
  }

  async stop(): Promise<void> {
    await this.ours.stop();
    await detach(this.theirs);
    await this.#other.stop();
    await this.#redis?.stop();
  }
}

/** Each side changes what the other one has made; a local file system shows what must come of it. */
async function changeOnBothSides({ ours, theirs }: SharedVolume): Promise<void> {
  const local = await makeTempDir('local');
  await Promise.all(DIRS.map((name) => mkdir(join(local, name))));
  const us = ours.mountpoint;
  const both = (what: 'make' | 'change', byUs: string, byThem: string) =>
    Promise.all([
      tree(what, join(us, byUs)),
      tree(what, join(theirs, byThem)),
      ...DIRS.map((name) => tree(what, join(local, name))),
    ]);
  await both('make', 'by-us', 'by-them');
  await pause();
  await both('change', 'by-them', 'by-us');
  await pause();
  const [here, there, wanted] = await Promise.all([us, theirs, local].map((d) => tree('look', d)));
  expect(Object.keys(wanted as Seen).length).toBeGreaterThan(30);
  expect(without(here as Seen)).toEqual(without(wanted as Seen));
  expect(there).toEqual(here);
}

/** Counters are the same for both, and what statistics of directories say is what there is. */
async function compareUsage({ ours, theirs }: SharedVolume): Promise<void> {
  const [here, there] = await Promise.all([ours.mountpoint, theirs].map((path) => statfs(path)));
  const used = (found: typeof here) => [
    found && (found.blocks - found.bfree) * found.bsize,
    found && found.files - found.ffree,
  ];
  expect(used(here)).toEqual(used(there));
  for (const name of DIRS) {
    const words = ['--csv', '--depth', '5', join(theirs, name)];
    const rows = (csv: string) =>
      csv.split('\n').filter((line) => /^[^,]*,\d+,\d+,\d+$/.test(line));
    const counted = rows(await juicefs('summary', '--strict', ...words));
    expect(counted.length).toBeGreaterThan(2);
    expect(rows(await juicefs('summary', ...words))).toEqual(counted);
  }
}

/**
 * What the original client's own checks say. To ask again needs the test's own `expect`: of tests
 * that run at once the global one knows only the last that began, or none once that has ended.
 */
async function check(metaUrl: string, expect: ExpectStatic): Promise<void> {
  expect(await juicefs('fsck', metaUrl)).not.toMatch(/ERROR|FATAL|broken|lost/i);
  // What is younger than a second is skipped, whatever it is.
  await expect
    .poll(() => juicefs('gc', metaUrl), { interval: 1_000 })
    .toMatch(/ 0 pending delete .* 0 leaked .* 0 skipped/);
  for (const name of DIRS) {
    const path = ['--path', `/${name}`];
    const inside = await juicefs('fsck', metaUrl, ...path, '-r', '--sync-dir-stat');
    expect(inside).not.toMatch(/ERROR|FATAL|should be/i);
    await juicefs('quota', 'check', metaUrl, ...path);
  }
}

describe
  .skipIf(!hasStock)
  .concurrent('beside the original client (needs juicefs on the PATH)', () => {
    test.for(['redis', 'sqlite'] as const)(
      'a volume on %s is for both what a local file system makes of the same changes, and its checks find nothing',
      { timeout: 100_000 },
      async (engine, { expect }) => {
        const volume = await SharedVolume.on(engine);
        try {
          await volume.prepare();
          await changeOnBothSides(volume);
          await compareUsage(volume);
          await volume.unmount();
          await check(volume.metaUrl, expect);
          expect(await juicefs('status', volume.metaUrl)).toContain('"Sessions": []');
        } finally {
          await volume.stop();
        }
      },
    );
  });
