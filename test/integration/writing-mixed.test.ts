import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type ExpectStatic, test } from 'vitest';
import { runHere } from '../servers/cli-here.ts';
import { runToEnd } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { type Engine, formattedVolume } from '../servers/formatted-volume.ts';
import { MIXED_WRITER } from '../servers/mixed-writer.ts';
import { detach, isMounted } from '../servers/mounted.ts';
import { type ServerProcess, startServer } from '../servers/server-process.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter } from '../servers/writable.ts';

/** An hour on each engine must hold. */
const TOLD = process.env['CACHEMESH_TEST_MIXED_SECONDS'];
const SECONDS = Number(TOLD ?? 3);
const ENGINES = TOLD === undefined ? (['redis'] as const) : (['redis', 'sqlite'] as const);
/** Printed, so that a failure can be looked into. */
const SEED = Number(process.env['CACHEMESH_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** For starting, ending and the checks. */
const BESIDE_MS = 180_000;
/** For so long mounts believe attributes and names. */
const TTL_MS = 1_100;
const NONE = { objects: 0 };
const LIMITED = '/shared/limited';

/** Mounts of one volume by both clients, two each. */
class Mixed {
  readonly metaUrl: string;
  readonly #ours: readonly TestDaemon[];
  readonly #theirs: readonly { readonly mountpoint: string; readonly process: ServerProcess }[];
  readonly #stopVolume: () => Promise<void>;

  private constructor(parts: {
    metaUrl: string;
    ours: readonly TestDaemon[];
    theirs: readonly { readonly mountpoint: string; readonly process: ServerProcess }[];
    stopVolume: () => Promise<void>;
  }) {
    this.metaUrl = parts.metaUrl;
    this.#ours = parts.ours;
    this.#theirs = parts.theirs;
    this.#stopVolume = parts.stopVolume;
  }

  static async on(engine: Engine): Promise<Mixed> {
    const volume = await formattedVolume(engine, ['--trash-days', '0', '--block-size', '64']);
    const { metaUrl, stop: stopVolume } = volume;
    const startTheirs = async () => {
      const dir = await makeTempDir('mixed');
      const mountpoint = join(dir, 'mnt');
      await mkdir(mountpoint);
      const how = ['--heartbeat', '1', '--no-usage-report', '--cache-dir', join(dir, 'cache')];
      const words = [
        'juicefs',
        'mount',
        ...how,
        '--enable-xattr',
        '--backup-meta',
        '0',
        metaUrl,
        mountpoint,
      ];
      const process_ = await startServer(words as [string, ...string[]], {
        logPath: join(dir, 'log'),
        env: { JFS_NO_UPDATE_CHECK: '1' },
      });
      return { mountpoint, process: process_ };
    };
    const [ours, theirs] = await Promise.all([
      Promise.all(['one', 'two'].map((name) => startWriter(volume, { name }))),
      Promise.all([startTheirs(), startTheirs()]),
    ]);
    for (const { mountpoint } of theirs) {
      await waitUntil('the other mounts', () => isMounted(mountpoint));
    }
    return new Mixed({ metaUrl, ours, theirs, stopVolume });
  }

  get mountpoints(): readonly string[] {
    return [...this.#ours, ...this.#theirs].map(({ mountpoint }) => mountpoint);
  }

  /** The first of {@link mountpoints} are ours. */
  get oursCount(): number {
    return this.#ours.length;
  }

  /** Ends all mounts in the orderly way. */
  async unmount(): Promise<void> {
    await Promise.all(this.#ours.map((daemon) => daemon.stop()));
    await Promise.all(
      this.#theirs.map(async ({ mountpoint, process: process_ }) => {
        await runStock(['umount', mountpoint]);
        await process_.end;
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#ours.map((daemon) => daemon.stop()));
    for (const { mountpoint, process: process_ } of this.#theirs) {
      await detach(mountpoint);
      await process_.stop();
    }
    await this.#stopVolume();
  }
}

/** Runs a command that must find nothing. @returns all that it said */
async function silent(
  command: Promise<{ status: unknown; stdout: string; stderr: string }>,
): Promise<string> {
  const { status, stdout, stderr } = await command;
  if (status !== 0) throw new Error(`status ${String(status)}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** What all writers do at once, each on a mount of its own. */
async function writeOnAll(mixed: Mixed): Promise<readonly Record<string, string>[]> {
  const { mountpoints, metaUrl } = mixed;
  const [first = ''] = mountpoints;
  await mkdir(join(first, LIMITED), { recursive: true });
  for (const index of mountpoints.keys()) await mkdir(join(first, `own-${index}`));
  const limits = ['--path', LIMITED, '--inodes', '12', '--capacity', '1M'];
  await silent(runHere(['quota', 'set', metaUrl, ...limits]));
  // Mounts hear of it with their heartbeats.
  await new Promise((resolve) => setTimeout(resolve, 2 * TTL_MS));
  const ends = mountpoints.map(async (mountpoint, index) => {
    // Stock clients alone charge quotas and statistics of directories wrongly under such a load: they stay
    // out of the one where both are looked at.
    const more = index < mixed.oursCount ? ['limited'] : [];
    const dirs = [join(mountpoint, 'shared'), join(mountpoint, `own-${index}`)];
    const { status, stdout, stderr } = await runToEnd(
      ['python3', MIXED_WRITER, String(SEED + index), String(SECONDS), ...dirs, ...more],
      { timeoutMs: SECONDS * 1000 + BESIDE_MS },
    );
    if (status !== 0) throw new Error(`writer ${index}, ${mountpoint}: ${stdout}${stderr}`);
    return (JSON.parse(stdout) as { sums: Record<string, string> }).sums;
  });
  return Promise.all(ends);
}

/** Every mount shows what each writer has written. */
async function compareOwn(
  { mountpoints }: Mixed,
  sums: readonly Record<string, string>[],
  expect: ExpectStatic,
): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, TTL_MS));
  for (const mountpoint of mountpoints) {
    for (const [index, wanted] of sums.entries()) {
      const found: Record<string, string> = {};
      for (const name of Object.keys(wanted)) {
        const content = await readFile(join(mountpoint, `own-${index}`, name));
        found[name] = createHash('sha256').update(content).digest('hex');
      }
      expect(found, `own-${index} at ${mountpoint}`).toEqual(wanted);
    }
  }
}

/** What the checks of both clients say of a volume that nobody has mounted. */
async function check(metaUrl: string, expect: ExpectStatic): Promise<void> {
  const theirs = (...words: string[]) => silent(runStock(words, { JFS_GC_SKIPPEDTIME: '1' }));
  const ours = (...words: string[]) => silent(runHere(words));
  await ours('fsck', metaUrl);
  await ours('quota', 'check', metaUrl);
  await expect
    .poll(async () => JSON.parse(await ours('gc', metaUrl, '--json')), { interval: 1_000 })
    .toMatchObject({ keys: [], leaked: NONE, young: NONE });
  expect(await theirs('fsck', metaUrl)).not.toMatch(/ERROR|FATAL|broken|lost/i);
  await expect
    .poll(() => theirs('gc', metaUrl), { interval: 1_000 })
    .toMatch(/ 0 leaked .* 0 skipped/);
  await theirs('quota', 'check', metaUrl, '--path', LIMITED);
  for (const path of [LIMITED, '/own-0', '/own-1', '/own-2', '/own-3']) {
    const inside = await theirs('fsck', metaUrl, '--path', path, '-r', '--sync-dir-stat');
    expect(inside).not.toMatch(/ERROR|FATAL|should be/i);
  }
}

describe.skipIf(!hasStock)('writers on mounts of both clients (needs juicefs on the PATH)', () => {
  test.for(ENGINES)(
    `leave a volume on %s in which the checks of both find nothing (seed ${SEED})`,
    { timeout: SECONDS * 1000 + BESIDE_MS },
    async (engine, { expect }) => {
      const mixed = await Mixed.on(engine);
      try {
        const sums = await writeOnAll(mixed);
        expect(sums).toHaveLength(mixed.mountpoints.length);
        await compareOwn(mixed, sums, expect);
        await mixed.unmount();
        await check(mixed.metaUrl, expect);
      } finally {
        await mixed.stop();
      }
    },
  );
});
